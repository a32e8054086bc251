//! Files and streams of lines that may be packed with gzip or zstd.
//!
//! ```text
//!   read:  first bytes 1f 8b -> gzip, 28 b5 2f fd -> zstd, else as it is
//!   write: FILE.part, packed as the name ends (.gz, .zst) --finish--> synced, renamed to FILE
//! ```
//!
//! 1. Several packed streams one behind the other are one: what `cat a.gz b.gz` gives.
//! 2. A stream that is cut off is an error, not an end.
//! 3. A file has its name only once it is whole.

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use zstd_safe::{CCtx, CParameter, DCtx, InBuffer, OutBuffer};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Bytes of packed input at once, and of packed output.
const PACKED_BYTES: usize = 128 * 1024;

/// What zstd's own tool takes by default: JSON packs to a sixth, as fast as a disk writes.
const ZSTD_LEVEL: i32 = 3;

/// What `input` holds, unpacked.
///
/// # Errors
/// Of reading the first bytes.
pub fn unpacked(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::new();
    // No further than it could be one of them: a person may be typing.
    let begins = |first: &[u8]| [GZIP, ZSTD].iter().any(|magic| magic.starts_with(first));
    while begins(&first) && first != GZIP && first != ZSTD {
        let mut byte = [0];
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => first.extend(byte),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let kind = first.clone();
    let whole = Cursor::new(first).chain(input);
    Ok(match kind.as_slice() {
        GZIP => Box::new(MultiGzDecoder::new(BufReader::with_capacity(PACKED_BYTES, whole))),
        ZSTD => Box::new(ZstdReader {
            input: BufReader::with_capacity(PACKED_BYTES, whole),
            context: DCtx::create(),
            in_frame: true,
        }),
        _ => Box::new(whole),
    })
}

/// zstd's frames, unpacked. Its memory is bounded by zstd's own limit on windows, 128 MiB.
struct ZstdReader<R> {
    input: BufReader<R>,
    context: DCtx<'static>,
    in_frame: bool,
}

impl<R: Read> Read for ZstdReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let packed = self.input.fill_buf()?;
            let at_end = packed.is_empty();
            if (at_end && !self.in_frame) || out.is_empty() {
                return Ok(0);
            }
            let (mut source, mut target) = (InBuffer::around(packed), OutBuffer::around(out));
            let left = self.context.decompress_stream(&mut target, &mut source);
            let left = left.map_err(|code| zstd_error(ErrorKind::InvalidData, code))?;
            let (read, written) = (source.pos(), target.pos());
            self.input.consume(read);
            self.in_frame = left != 0;
            if written > 0 {
                return Ok(written);
            }
            if at_end {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the zstd data is cut off")); // 2.
            }
        }
    }
}

fn zstd_error(kind: ErrorKind, code: usize) -> io::Error {
    io::Error::new(kind, format!("zstd: {}", zstd_safe::get_error_name(code)))
}

/// A file that is being written.
pub struct Packed {
    packer: Packer,
    part: PathBuf,
    path: PathBuf,
}

enum Packer {
    Plain(File),
    Gzip(GzEncoder<File>),
    Zstd { file: File, context: CCtx<'static>, packed: Vec<u8> },
}

impl Packed {
    /// Begins a file, packed as its name ends; one of this name stays as it is until `finish`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(path: &Path) -> io::Result<Packed> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part)?;
        let packer = match path.extension().and_then(|end| end.to_str()) {
            Some("gz") => Packer::Gzip(GzEncoder::new(file, Compression::default())),
            Some("zst") => {
                let mut context = CCtx::create();
                for parameter in
                    [CParameter::CompressionLevel(ZSTD_LEVEL), CParameter::ChecksumFlag(true)]
                {
                    let set = context.set_parameter(parameter);
                    set.map_err(|code| zstd_error(ErrorKind::Other, code))?;
                }
                Packer::Zstd { file, context, packed: vec![0; PACKED_BYTES] }
            }
            _ => Packer::Plain(file),
        };
        Ok(Packed { packer, part, path: path.into() })
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is left, syncs, and gives the file its name (3).
    ///
    /// # Errors
    /// Of writing; then the part stays for whoever wants to look at it.
    pub fn finish(self) -> io::Result<()> {
        let file = match self.packer {
            Packer::Plain(file) => file,
            Packer::Gzip(encoder) => encoder.finish()?,
            Packer::Zstd { mut file, mut context, mut packed } => loop {
                let mut target = OutBuffer::around(&mut packed[..]);
                let left = context.end_stream(&mut target);
                let left = left.map_err(|code| zstd_error(ErrorKind::Other, code))?;
                file.write_all(target.as_slice())?;
                if left == 0 {
                    break file;
                }
            },
        };
        file.sync_all()?;
        fs::rename(&self.part, &self.path)
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (file, context, packed) = match &mut self.packer {
            Packer::Plain(file) => return file.write(bytes),
            Packer::Gzip(encoder) => return encoder.write(bytes),
            Packer::Zstd { file, context, packed } => (file, context, packed),
        };
        let mut source = InBuffer::around(bytes);
        while source.pos() < bytes.len() {
            let mut target = OutBuffer::around(&mut packed[..]);
            let packing = context.compress_stream(&mut target, &mut source);
            packing.map_err(|code| zstd_error(ErrorKind::Other, code))?;
            file.write_all(target.as_slice())?;
        }
        Ok(bytes.len())
    }

    /// Nothing: whole lines are not what is packed together.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(name: &str, content: &[u8]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let mut file = Packed::create(&path).unwrap();
        content.chunks(1000).for_each(|chunk| file.write_all(chunk).unwrap());
        assert!(!path.exists(), "it has its name when it is whole");
        file.finish().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::read(path).unwrap()
    }

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        unpacked(Cursor::new(bytes))?.read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn what_is_packed_comes_out_again_also_one_behind_the_other() {
        let many: Vec<u8> = (0..300_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for content in [&b""[..], b"a\n", &many] {
            for name in ["x.jsonl", "x.gz", "x.jsonl.zst"] {
                let once = packed(name, content);
                assert_eq!(read(once.clone()).unwrap(), content, "{name}");
                let twice = [once.clone(), once].concat();
                assert_eq!(read(twice).unwrap(), [content, content].concat(), "{name} twice");
            }
        }
        assert!(packed("x.gz", &many).len() < many.len() / 2);
        assert!(packed("x.zst", &many).len() < many.len() / 2);
    }

    #[test]
    fn what_is_cut_off_or_no_such_thing_is_an_error_and_what_is_not_packed_is_none() {
        let many: Vec<u8> = (0..30_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for name in ["x.gz", "x.zst"] {
            let whole = packed(name, &many);
            for length in [5, 20, whole.len() / 2, whole.len() - 1] {
                assert!(read(whole[..length].to_vec()).is_err(), "{name} of {length} bytes");
            }
            let mut wrong = whole.clone();
            wrong[whole.len() / 2] ^= 0x55;
            assert!(read(wrong).is_err(), "{name} with a wrong byte");
        }
        for plain in [&b"("[..], b"\x1f", b"\x1f\x8c...", b"(\xb5/\xfe", b"{}\n"] {
            assert_eq!(read(plain.to_vec()).unwrap(), plain);
        }
    }
}
