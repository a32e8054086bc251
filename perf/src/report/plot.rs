//! Figures as one picture: a band for each question, in it a lane for each store, left is better.
//!
//! ```text
//!   query, CPU us                   1        10       100      1,000
//!   get by id            ratite      o--^-    |                        1.9  4.3
//!                        heed       o-^-                               1.1  1.9
//! ```
//!
//! A lane goes from p50 (the dot) to p99.9, p99 is the triangle, the goal a bar across it; p50 and p99 stand at the right as
//! numbers. What is asked of one process is CPU time; what has a device, a network or a scheduler in it is wall time.

use crate::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;
use std::path::Path;

/// Pixels of the columns: names, stores, the picture, the numbers.
const NAMES: i32 = 270;
const STORES: i32 = 90;
const CHART: i32 = 560;
const NUMBERS: i32 = 130;

/// Pixels of a lane, between two bands, of a head, of the margin.
const LANE: i32 = 15;
const GAP: i32 = 7;
const HEAD: i32 = 46;
const MARGIN: i32 = 12;

/// Workloads of which CPU time is drawn.
const BY_CPU: [&str; 2] = ["query", "logs"];

/// Ratite's colour first.
const COLOURS: [RGBColor; 9] = [
    RGBColor(31, 96, 196),
    RGBColor(214, 96, 20),
    RGBColor(120, 120, 120),
    RGBColor(150, 60, 150),
    RGBColor(40, 140, 60),
    RGBColor(180, 140, 0),
    RGBColor(0, 140, 150),
    RGBColor(190, 40, 60),
    RGBColor(110, 80, 50),
];
const GOAL: RGBColor = RGBColor(0, 160, 0);
const FAINT: RGBColor = RGBColor(225, 225, 225);

/// One store's times for one question, in microseconds.
struct Lane {
    store: String,
    p50: f64,
    p99: f64,
    p999: f64,
    goal: Option<f64>,
}

/// A question and who answered it.
struct Band {
    row: String,
    lanes: Vec<Lane>,
}

/// The bands of a workload.
struct Part {
    workload: String,
    bands: Vec<Band>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the figures that have times.
pub fn draw(figures: &[Value], path: &Path) -> Result<()> {
    let parts = parts(figures);
    if parts.is_empty() {
        return Err("no figure has times to draw".into());
    }
    let stores = stores(&parts);
    let lanes = |part: &Part| part.bands.iter().map(|band| band.lanes.len() as i32).sum::<i32>();
    let height_of =
        |part: &Part| HEAD + lanes(part) * LANE + part.bands.len() as i32 * GAP + MARGIN;
    let height = 3 * MARGIN + parts.iter().map(height_of).sum::<i32>();
    let width = 2 * MARGIN + NAMES + STORES + CHART + NUMBERS;
    let area = SVGBackend::new(path, (width as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    text(
        &area,
        "p50 (dot) to p99.9 (end), p99 (triangle), goal (green bar); microseconds, left is better",
        (MARGIN, MARGIN),
        13,
        &BLACK,
        HPos::Left,
    )?;
    let mut top = 3 * MARGIN;
    for part in &parts {
        draw_part(&area, part, &stores, top)?;
        top += height_of(part);
    }
    area.present()?;
    eprintln!("{}", path.display());
    Ok(())
}

/// What there is to draw, in the order in which it was measured; Ratite first in each band.
fn parts(figures: &[Value]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let of = |figure: &Value, name: &str| figure[name].as_str().unwrap_or_default().to_string();
    for figure in figures {
        let workload = of(figure, "workload");
        let kind = if BY_CPU.contains(&workload.as_str()) { "cpu_us" } else { "wall_us" };
        let at = |quantile: &str| figure[kind][quantile].as_f64().map(|us| us.max(0.1));
        let (Some(p50), Some(p99), Some(p999)) = (at("p50"), at("p99"), at("p999")) else {
            continue;
        };
        let goal = figure["goal_us"].as_f64();
        let lane = Lane { store: of(figure, "store"), p50, p99, p999, goal };
        let at = parts.iter().position(|p| p.workload == workload).unwrap_or_else(|| {
            parts.push(Part { workload, bands: Vec::new() });
            parts.len() - 1
        });
        let bands = &mut parts[at].bands;
        let row = of(figure, "row");
        match bands.iter_mut().find(|band| band.row == row) {
            Some(band) => band.lanes.push(lane),
            None => bands.push(Band { row, lanes: vec![lane] }),
        }
    }
    for band in parts.iter_mut().flat_map(|part| &mut part.bands) {
        band.lanes.sort_by_key(|lane| lane.store != "ratite");
    }
    parts
}

/// The stores, each in its colour.
fn stores(parts: &[Part]) -> Vec<String> {
    let mut stores = vec!["ratite".to_string()];
    for lane in parts.iter().flat_map(|part| &part.bands).flat_map(|band| &band.lanes) {
        if !stores.contains(&lane.store) {
            stores.push(lane.store.clone());
        }
    }
    stores
}

fn draw_part(area: &Area<'_>, part: &Part, stores: &[String], top: i32) -> Result<()> {
    let kind = if BY_CPU.contains(&part.workload.as_str()) { "CPU" } else { "wall" };
    let all = || part.bands.iter().flat_map(|band| &band.lanes);
    let least = all().map(|lane| lane.p50).fold(f64::MAX, f64::min).log10().floor();
    let most = all().map(|lane| lane.p999).fold(1.0, f64::max).log10().ceil().max(least + 1.0);
    let left = MARGIN + NAMES + STORES;
    let x = |us: f64| left + ((us.log10() - least) / (most - least) * f64::from(CHART)) as i32;
    let title = format!("{}, {kind} us", part.workload);
    text(area, &title, (MARGIN, top + 8), 16, &BLACK, HPos::Left)?;
    let right = left + CHART + NUMBERS;
    text(area, "p50", (right - 58, top + 26), 12, &BLACK, HPos::Right)?;
    text(area, "p99", (right, top + 26), 12, &BLACK, HPos::Right)?;
    let lanes: i32 = all().count() as i32;
    let bottom = top + HEAD + lanes * LANE + part.bands.len() as i32 * GAP;
    for power in least as i32..=most as i32 {
        let us = 10f64.powi(power);
        line(area, (x(us), top + HEAD - 6), (x(us), bottom), &FAINT, 1)?;
        text(area, &number(us), (x(us), top + 26), 12, &BLACK, HPos::Center)?;
    }
    let mut y = top + HEAD;
    for band in &part.bands {
        text(area, &band.row, (MARGIN, y), 13, &BLACK, HPos::Left)?;
        for lane in &band.lanes {
            let place = stores.iter().position(|store| *store == lane.store).unwrap_or(0);
            let colour = COLOURS[place % COLOURS.len()];
            draw_lane(area, lane, &colour, y, &x)?;
            text(area, &lane.store, (left - 12, y), 12, &colour, HPos::Right)?;
            text(area, &number(lane.p50), (right - 58, y), 12, &colour, HPos::Right)?;
            text(area, &number(lane.p99), (right, y), 12, &colour, HPos::Right)?;
            y += LANE;
        }
        y += GAP;
        line(area, (MARGIN, y - GAP / 2), (left + CHART + NUMBERS, y - GAP / 2), &FAINT, 1)?;
    }
    Ok(())
}

fn draw_lane(
    area: &Area<'_>,
    lane: &Lane,
    colour: &RGBColor,
    y: i32,
    x: &dyn Fn(f64) -> i32,
) -> Result<()> {
    let middle = y + LANE / 2 - 1;
    if let Some(goal) = lane.goal {
        line(area, (x(goal), y - 2), (x(goal), y + LANE - 1), &GOAL, 3)?;
    }
    line(area, (x(lane.p50), middle), (x(lane.p999), middle), colour, 3)?;
    area.draw(&Circle::new((x(lane.p50), middle), 5, colour.filled()))?;
    area.draw(&TriangleMarker::new((x(lane.p99), middle), 5, colour.filled()))?;
    Ok(())
}

fn line(
    area: &Area<'_>,
    from: (i32, i32),
    to: (i32, i32),
    colour: &RGBColor,
    width: u32,
) -> Result<()> {
    Ok(area.draw(&PathElement::new(vec![from, to], colour.stroke_width(width)))?)
}

fn text(
    area: &Area<'_>,
    words: &str,
    at: (i32, i32),
    size: i32,
    colour: &RGBColor,
    anchor: HPos,
) -> Result<()> {
    let style =
        TextStyle::from(("sans-serif", size)).color(colour).pos(Pos::new(anchor, VPos::Top));
    Ok(area.draw(&Text::new(words.to_string(), at, style))?)
}

/// As many digits as say something.
fn number(us: f64) -> String {
    match us {
        us if us < 9.95 => format!("{us:.1}"),
        us if us < 9_999.5 => format!("{us:.0}"),
        us if us < 999_500.0 => format!("{:.0}k", us / 1e3),
        us => format!("{:.1}M", us / 1e6),
    }
}
