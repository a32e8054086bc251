use crate::Result;
#[derive(clap::Args)]
pub struct Args {}
pub fn run(_: &Args, _: &mut crate::figure::Figures) -> Result<()> { Ok(()) }
