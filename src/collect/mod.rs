//! Ways into a log store over the network.
mod batch;
mod names;
mod otlp;
mod syslog;
