//! Syncs and streams over real sockets, with relays and stores in this process.

use super::*;
