//! A page of items of one width: which they are, the first and the last of them, and whether they are in order.

use super::super::log::hex;
use super::{Line, Scene};
use crate::segment::format::{
    Header, ID_ENTRY_BYTES, MARK_BYTES, Region, get_u32, get_u64, kind, kind_name,
};

/// What a column keeps in each item.
struct Column {
    width: usize,
    items: u32,
    /// What `number` of an item is counted from.
    base: u64,
    /// Whether items ascend.
    ascends: bool,
}

fn column_of(kind: u32, header: &Header) -> Column {
    let records = header.records.get();
    let column = |width, items, base, ascends| Column { width, items, base, ascends };
    match kind {
        kind::TIMES => column(header.time_width.into(), records, header.time_min.get(), true),
        // Of equal times ids fall.
        kind::IDS => column(header.id_width.into(), records, header.id_base.get(), false),
        kind::LOCATIONS => column(header.location_width.into(), header.locations(), 0, true),
        kind::ID_INDEX => column(ID_ENTRY_BYTES, records, 0, true),
        _ => column(MARK_BYTES, records, 0, false),
    }
}

/// An item as something that is in order, and as text.
fn item(kind: u32, bytes: &[u8], base: u64) -> (u64, String) {
    let narrow = get_u32(bytes, 0).unwrap_or_default();
    let number = |number: u64| (number, number.to_string());
    match (kind, bytes.len()) {
        (kind::ID_INDEX, _) => {
            let prefix = narrow.swap_bytes();
            let ordinal = get_u32(bytes, 4).unwrap_or_default();
            (prefix.into(), format!("{prefix:08x}:{ordinal}"))
        }
        // First ordinal and offset of a block.
        (kind::LOCATIONS, 12) => {
            let at = get_u64(bytes, 4).unwrap_or_default();
            (at, format!("{narrow}:{at}"))
        }
        (_, 4) => number(base.wrapping_add(narrow.into())),
        (_, 8) => number(base.wrapping_add(get_u64(bytes, 0).unwrap_or_default())),
        _ => (0, hex(bytes)),
    }
}

/// The line of the page of `scene`.
pub fn line_of(scene: &Scene<'_>, kind: u32, region: Region, header: &Header) -> Line {
    let column = column_of(kind, header);
    let line = scene.line(0, kind_name(kind));
    let per_page = (scene.payload.len() / column.width.max(1)) as u32;
    let first = u64::from(scene.number - region.first) * u64::from(per_page);
    let left = u64::from(column.items).saturating_sub(first);
    let count = left.min(per_page.into()) as usize;
    let items = scene.payload.chunks_exact(column.width.max(1)).take(count);
    let items: Vec<(u64, String)> = items.map(|bytes| item(kind, bytes, column.base)).collect();
    let line = line.number("items", items.len() as u64).number("first_item", first);
    let Some(((_, low), (_, high))) = items.first().zip(items.last()) else {
        return line.damaged("the header says that no item is here");
    };
    let line = line.number("item_bytes", column.width as u64).text("first", low).text("last", high);
    let falls = column.ascends && items.windows(2).any(|pair| pair[0].0 > pair[1].0);
    if falls { line.damaged("the items are not in order") } else { line }
}
