//! The space: limits of the disk under load, and expired records' bytes that come back.

use super::*;
