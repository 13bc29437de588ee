//! Lines that come from a file or a pipe: bounded, so that one line of a gigabyte costs a megabyte; decompressed by the
//! file's extension; opened and read on a thread of its own where that may wait, so that a slow pipe, or a named one that
//! nobody writes to, never keeps Ctrl-C waiting.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
    thread,
};

use tokio::sync::mpsc;

use crate::cli::CliError;

/// Longest line accepted, in bytes without its newline.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// Lines read ahead of the command; bounds what waits in memory to this many times [`LINE_BYTES_MAX`].
const LINES_AHEAD: usize = 64;

/// A file or pipe, read line by line.
pub struct Lines {
    source: Source,
    name: String,
    number: u64,
}

/// Where the lines come from.
enum Source {
    /// A named pipe: opening it waits for somebody who writes to it, so it is opened when its first line is wanted.
    Pipe(PathBuf),
    Open(Box<dyn BufRead + Send>),
}

/// One line and where it stands.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// Without its end.
    pub text: String,
}

impl Lines {
    /// Opens a file or a named pipe, or stdin for `-`. Files named `….gz` and `….zst` are decompressed. Never waits: a
    /// named pipe is opened by [`next_line`](Lines::next_line).
    pub fn open(path: &Path) -> Result<Lines, CliError> {
        let name = name_of(path);
        let lines = |source| Ok(Lines { source, name: name.clone(), number: 0 });
        if path == Path::new("-") {
            return lines(Source::Open(Box::new(BufReader::new(io::stdin()))));
        }
        let kind = fs::metadata(path).map_err(|error| unreadable(&name, error))?.file_type();
        if kind.is_fifo() {
            return lines(Source::Pipe(path.to_owned()));
        }
        if !kind.is_file() {
            let found = if kind.is_dir() { "a directory" } else { "a device or socket" };
            return Err(CliError::failed("wox::input::open", format!("the input is {found}, not a file or a pipe"))
                .at("file", &name)
                .next("name a file that exists and that you may read, or `-` for stdin"));
        }
        lines(Source::Open(reader(path).map_err(|error| unreadable(&name, error))?))
    }

    /// What the input is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next line that is not blank, or `None` at the end. Waits for a pipe, so it belongs on a thread of its own.
    pub fn next_line(&mut self) -> Result<Option<Line>, CliError> {
        if let Source::Pipe(path) = &self.source {
            self.source = Source::Open(reader(path).map_err(|error| unreadable(&self.name, error))?);
        }
        loop {
            let Source::Open(reader) = &mut self.source else { unreachable!("opened above") };
            let mut bytes = Vec::new();
            self.number += 1;
            let bound = LINE_BYTES_MAX as u64 + 2;
            let read = reader.take(bound).read_until(b'\n', &mut bytes).map_err(|error| {
                self.error("wox::input::read", "the input cannot be read any further")
                    .next("check that the file is whole (a cut .gz or .zst ends like this), then run the command again")
                    .caused_by(error)
            })?;
            if read == 0 {
                return Ok(None);
            }
            if bytes.ends_with(b"\n") {
                bytes.pop();
            }
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
            if bytes.len() > LINE_BYTES_MAX {
                return Err(self
                    .error("wox::input::line-too-long", "the line is longer than 1 MiB")
                    .next("cut the input into one event a line; a payload may have 256 KiB"));
            }
            if self.number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let text = String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                self.error("wox::input::not-utf8", format!("the line is not UTF-8 from byte {} on", at + 1))
                    .next("convert the input to UTF-8, then run the command again")
            })?;
            return Ok(Some(Line { number: self.number, text }));
        }
    }

    /// Reads on a thread of its own, and hands over what `parse` makes of each line. The channel ends after the last
    /// line or after the first error, which is its last item.
    pub fn parsed_ahead<T: Send + 'static>(
        mut self,
        parse: impl Fn(&str, Line) -> Result<T, CliError> + Send + 'static,
    ) -> mpsc::Receiver<Result<T, CliError>> {
        let (sender, receiver) = mpsc::channel(LINES_AHEAD);
        // A plain thread and not the runtime's pool: nothing waits for it when the command ends before the input does.
        thread::spawn(move || {
            loop {
                let next = match self.next_line() {
                    Ok(None) => return,
                    Ok(Some(line)) => parse(&self.name, line),
                    Err(error) => Err(error),
                };
                let ends = next.is_err();
                if sender.blocking_send(next).is_err() || ends {
                    return;
                }
            }
        });
        receiver
    }

    /// As [`Lines::parsed_ahead`], in batches of at most so many lines and bytes: the next batch is read and parsed
    /// while the command works on the last one. A batch with an error is the last; the lines before the error are in it.
    pub fn batches_ahead<T: Send + 'static>(
        mut self,
        lines_max: usize,
        bytes_max: usize,
        parse: impl Fn(&str, Line) -> Result<T, CliError> + Send + 'static,
    ) -> mpsc::Receiver<(Vec<T>, Option<CliError>)> {
        let (sender, receiver) = mpsc::channel(1);
        thread::spawn(move || {
            loop {
                let (mut batch, mut bytes, mut failed, mut ended) = (Vec::new(), 0, None, false);
                while batch.len() < lines_max && bytes < bytes_max {
                    match self.next_line().and_then(|line| {
                        let Some(line) = line else { return Ok(None) };
                        bytes += line.text.len();
                        parse(&self.name, line).map(Some)
                    }) {
                        Ok(Some(parsed)) => batch.push(parsed),
                        Ok(None) => {
                            ended = true;
                            break;
                        }
                        Err(error) => {
                            failed = Some(error);
                            break;
                        }
                    }
                }
                ended |= failed.is_some();
                if sender.blocking_send((batch, failed)).is_err() || ended {
                    return;
                }
            }
        });
        receiver
    }

    fn error(&self, code: &'static str, what: impl Into<String>) -> CliError {
        CliError::failed(code, what).at("file", &self.name).at("line", self.number)
    }
}

/// Opens a file for reading its bytes, decompressed by its extension.
pub fn open_bytes(path: &Path) -> Result<Box<dyn BufRead + Send>, CliError> {
    let name = name_of(path);
    let no_file = |what: &str| {
        CliError::failed("wox::input::open", what.to_owned())
            .at("file", &name)
            .next("name a file that exists and that you may read; it is read twice, so stdin and pipes will not do")
    };
    let kind = fs::metadata(path).map_err(|error| no_file("the file cannot be read").caused_by(error))?.file_type();
    if !kind.is_file() {
        return Err(no_file("the input is no file"));
    }
    reader(path).map_err(|error| unreadable(&name, error))
}

/// Opens what stands at a path; waits when that is a named pipe.
fn reader(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let file = File::open(path)?;
    let reader: Box<dyn Read + Send> = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::Decoder::new(file)?),
        _ => Box::new(file),
    };
    Ok(Box::new(BufReader::with_capacity(1 << 16, reader)))
}

fn unreadable(name: &str, error: io::Error) -> CliError {
    CliError::failed("wox::input::open", "the file cannot be read")
        .at("file", name)
        .next("name a file that exists and that you may read, or `-` for stdin")
        .caused_by(error)
}

/// What an input is called in messages.
fn name_of(path: &Path) -> String {
    if path == Path::new("-") { "stdin".into() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn lines(bytes: impl Read + Send + 'static) -> Lines {
        Lines { source: Source::Open(Box::new(BufReader::new(bytes))), name: "test".into(), number: 0 }
    }

    fn texts(mut lines: Lines) -> Result<Vec<(u64, String)>, CliError> {
        let mut all = Vec::new();
        while let Some(line) = lines.next_line()? {
            all.push((line.number, line.text));
        }
        Ok(all)
    }

    #[test]
    fn blank_lines_marks_and_line_ends_are_taken_off() {
        let read = texts(lines(&b"\xef\xbb\xbfa\r\n\n  \nb"[..])).unwrap();
        assert_eq!(read, [(1, "a".to_owned()), (4, "b".to_owned())]);
    }

    #[test]
    fn a_line_of_a_gigabyte_is_refused_after_a_megabyte() {
        let endless = io::repeat(b'x').take(1 << 30);
        let error = texts(lines(endless)).unwrap_err();
        assert!(error.to_string().contains("longer than 1 MiB"));
        let longest = io::repeat(b'x').take(LINE_BYTES_MAX as u64);
        assert_eq!(texts(lines(longest)).unwrap().len(), 1);
    }

    #[test]
    fn bytes_that_are_not_utf_8_name_file_line_and_byte() {
        let error = texts(lines(&b"ok\nab\xff"[..])).unwrap_err().for_programs();
        assert!(error.contains("byte 3") && error.contains(r#""line":"2""#) && error.contains("test"), "{error}");
    }

    #[test]
    fn compressed_files_are_read_and_cut_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let text = "one line\n".repeat(2000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();
        for (name, bytes) in [("a.gz", gzip), ("a.zst", zstd)] {
            let path = dir.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(texts(Lines::open(&path).unwrap()).unwrap().len(), 2000, "{name}");
            std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            assert!(Lines::open(&path).and_then(texts).is_err(), "{name}");
        }
    }

    #[test]
    fn a_directory_or_a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("missing")] {
            let error = Lines::open(&path).err().unwrap().for_programs();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
