//! Our files, and the names of files that their texts point at.
//!
//! What is present counts, tracked or not: a file is held to the rules before it is committed, not after.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Made by programs, or somebody's own.
const NOT_OURS: [&str; 6] = ["target", ".git", "larder-data", "corpus", "artifacts", "node_modules"];

/// Names of files that a line points at: links and code in Markdown, names of documents everywhere.
pub(crate) fn names_in<'a>(path: &'a str, line: &'a str) -> impl Iterator<Item = String> + 'a {
    const TOPS: [&str; 10] = [
        "agent/",
        "client/",
        "cross/",
        "docs/",
        "firmware-config/",
        "format/",
        "panel/",
        "store/",
        "systemd/",
        "tests/",
    ];
    let is_document = path.ends_with(".md");
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let words = line.split(move |c| !in_name(c)).map(|word| word.trim_end_matches(['.', '/']));
    let named = words.filter(move |word| {
        let is_page = word.ends_with(".md") && (word.starts_with("docs/") || is_capital_page(word));
        let is_path = is_document && TOPS.iter().any(|top| word.starts_with(top)) && is_quoted(line, word);
        (is_page || is_path) && !word.contains("NNN") && !word.contains("..")
    });
    let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let links = links.filter(move |link| is_document && !link.is_empty() && !link.contains(':'));
    let beside = Path::new(path).parent().unwrap_or(Path::new(""));
    named.map(str::to_owned).chain(links.map(|link| flat(&beside.join(link)))).filter(|name| !name.is_empty())
}

/// Code in a line, or a command at the start of one.
fn is_quoted(line: &str, word: &str) -> bool {
    line.contains('`') || line.trim_start().starts_with(word)
}

fn is_capital_page(word: &str) -> bool {
    let stem = word.trim_end_matches(".md");
    stem.len() > 3 && stem.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}

/// A path without `..`.
fn flat(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap_or_default().split('/') {
        match part {
            ".." => drop(parts.pop()),
            "" | "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace").to_owned()
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// Every file of ours, relative to the workspace, sorted.
pub(crate) fn files() -> Vec<String> {
    let (root, mut folders, mut files) = (root(), vec![PathBuf::new()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).expect("a folder of ours can be listed") {
            let entry = entry.expect("a folder of ours can be listed");
            let name = entry.file_name().into_string().expect("our names are text");
            let path = folder.join(&name);
            match entry.file_type().expect("a file of ours has a kind") {
                kind if kind.is_dir() && !NOT_OURS.contains(&name.as_str()) => folders.push(path),
                // A second checkout has a file of this name.
                kind if kind.is_file() && name != ".git" => {
                    files.push(path.to_str().expect("our names are text").to_owned());
                }
                _ => {}
            }
        }
    }
    files.sort();
    files
}

/// Every file of ours that is text, by path. What cargo writes is left out.
pub(crate) fn texts() -> BTreeMap<String, String> {
    let ours =
        files().into_iter().filter(|path| !path.ends_with("Cargo.lock") && !path.starts_with("tests/tidy"));
    ours.filter_map(|path| fs::read_to_string(root().join(&path)).ok().map(|text| (path, text))).collect()
}
