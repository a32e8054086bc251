//! Rules as words and as JSON, their refusals, and events that go.

use super::*;
