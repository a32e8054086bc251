//! The text format: families of metrics, written by `prometheus-client`.
//!
//! ```text
//!   # HELP ratite_flushes Memtables flushed.
//!   # TYPE ratite_flushes counter
//!   ratite_flushes_total{shard="0"} 12
//! ```
//!
//! The library knows OpenMetrics, which ends in `# EOF` and which every Prometheus since version 2.5 takes.

use super::families::{Measured, families};
use super::histogram::Distribution;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_eof;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// What stands before each name.
const PREFIX: &str = "ratite";

/// The media type of what `encode` gives.
pub(in crate::relay) const MEDIA_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One metric with its values by label.
pub(super) struct Family {
    pub(super) name: String,
    pub(super) help: &'static str,
    pub(super) values: Values,
}

/// The values of a family.
pub(super) enum Values {
    /// What only grows. The name gets `_total`.
    Counter(Vec<(Labels, u64)>),
    /// What is so now.
    Gauge(Vec<(Labels, f64)>),
    /// How long something took.
    Histogram(Distribution),
}

/// At most one label and its value.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The text of all families.
pub(super) fn encode(measured: Measured) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(measured));
    let mut text = String::with_capacity(16 * 1024);
    // Writing to a String cannot fail.
    let _written = encode_registry(&mut text, &registry).and_then(|()| encode_eof(&mut text));
    text
}

impl Collector for Measured {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        families(self).iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Family {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        // The format has the full stop of a sentence nowhere.
        let help = self.help.trim_end_matches('.');
        let of = match self.values {
            Values::Counter(_) => MetricType::Counter,
            Values::Gauge(_) => MetricType::Gauge,
            Values::Histogram(_) => MetricType::Histogram,
        };
        let mut metric = encoder.encode_descriptor(&self.name, help, None, of)?;
        match &self.values {
            Values::Counter(values) => values.iter().try_for_each(|(labels, value)| {
                let count = |metric: &mut MetricEncoder<'_>| {
                    metric.encode_counter::<NoLabelSet, u64, f64>(value, None)
                };
                labelled(&mut metric, labels, count)
            }),
            Values::Gauge(values) => values.iter().try_for_each(|(labels, value)| {
                labelled(&mut metric, labels, |metric| metric.encode_gauge(value))
            }),
            Values::Histogram(of) => metric.encode_histogram::<NoLabelSet>(
                of.sum_seconds(),
                of.count(),
                &of.buckets(),
                None,
            ),
        }
    }
}

/// A value under its label, or without braces if it has none.
fn labelled(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels,
    encode: impl Fn(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    match labels.is_empty() {
        true => encode(metric),
        false => encode(&mut metric.encode_family(labels)?),
    }
}
