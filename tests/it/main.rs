//! Tests of the whole from outside.

mod compare;
mod naive;
mod oracle;
mod power;
mod replay;
