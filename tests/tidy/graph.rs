//! Which modules of a crate know which, and where they know each other in a circle.
//!
//! An edge is a path that begins with `crate`, `self` or `super`, in a `use` or anywhere else in shipped code, and an `impl`
//! block of a type that lives in another module: the type's home then depends on what the block needs. The crate's root is
//! left out, since every module may name what the root re-exports. Not here: arrows between crates (`tidy.rs`).

use crate::rules::Applies;
use crate::source::{Source, sources};
use std::collections::{BTreeMap, BTreeSet};

/// A module by the names on the way to it, without `crate`.
pub(crate) type Module = Vec<String>;

/// Modules of one crate, and those that each of them names.
#[derive(Default)]
pub(crate) struct Graph(BTreeMap<Module, BTreeSet<Module>>);

impl Graph {
    /// The graph of the crate in the folder `crate_folder`.
    pub(crate) fn of(crate_folder: &str) -> Self {
        let root = format!("{crate_folder}/src/");
        let sources: Vec<Source> =
            sources().into_iter().filter(|source| source.path.starts_with(&root)).collect();
        let texts = sources.iter().filter(|source| !source.is_test && !source.path.contains("/bin/"));
        Self::from_texts(texts.map(|source| {
            let path = source.path[root.len()..].trim_end_matches(".rs");
            (module_at(path), source.code(Applies::Shipped))
        }))
    }

    /// The graph of modules with this code.
    pub(crate) fn from_texts(texts: impl Iterator<Item = (Module, String)>) -> Self {
        let texts: BTreeMap<Module, String> = texts.collect();
        let homes = homes(&texts);
        let mut graph = Self::default();
        for (module, code) in &texts {
            let of = graph.0.entry(module.clone()).or_default();
            for path in paths(code) {
                of.extend(resolve(module, &path, &texts));
            }
        }
        for (module, code) in &texts {
            for name in impls(code) {
                let Some([home]) = homes.get(&name).map(Vec::as_slice) else { continue };
                // A module below the home is a part of it.
                if !module.starts_with(home) {
                    graph.0.entry(home.clone()).or_default().insert(module.clone());
                }
            }
        }
        for (module, of) in &mut graph.0 {
            of.retain(|other| other != module && !other.is_empty());
        }
        graph.0.remove(&Module::new());
        graph
    }

    /// Modules that reach each other, as far as there are more than one of them.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let reach: BTreeMap<&Module, BTreeSet<&Module>> =
            self.0.keys().map(|module| (module, self.reachable(module))).collect();
        let mut circles = BTreeSet::new();
        for (module, reached) in &reach {
            let together =
                reached.iter().filter(|other| reach.get(*other).is_some_and(|back| back.contains(module)));
            let circle: BTreeSet<String> = together.map(|other| other.join("::")).collect();
            if circle.len() > 1 {
                circles.insert(circle.into_iter().collect::<Vec<_>>());
            }
        }
        circles.into_iter().collect()
    }

    /// Modules that name one in a later layer, or stand in none. A layer is a folder at the top of the crate, the lowest first.
    pub(crate) fn upward(&self, layers: &[&str]) -> Vec<String> {
        let layer =
            |module: &Module| layers.iter().position(|layer| module.first().is_some_and(|top| top == layer));
        let mut found = Vec::new();
        for (module, of) in &self.0 {
            let Some(own) = layer(module) else {
                found.push(format!("{} -> (no layer)", module.join("::")));
                continue;
            };
            let higher = of.iter().filter(|other| layer(other).is_some_and(|other| other > own));
            found.extend(higher.map(|other| format!("{} -> {}", module.join("::"), other.join("::"))));
        }
        found
    }

    fn reachable(&self, from: &Module) -> BTreeSet<&Module> {
        let mut reached = BTreeSet::new();
        let mut rest: Vec<&Module> = self.0.get(from).into_iter().flatten().collect();
        while let Some(module) = rest.pop() {
            if reached.insert(module) {
                rest.extend(self.0.get(module).into_iter().flatten());
            }
        }
        reached
    }
}

fn module_at(path: &str) -> Module {
    let mut names: Module = path.split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|last| last == "mod") || matches!(path, "lib" | "main") {
        names.pop();
    }
    names
}

/// Every path that begins with `crate`, `self` or `super`, groups in braces taken apart.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let is_inside = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if !is_inside {
                expand("", path_at(&code[at..]), &mut found);
            }
        }
    }
    found
}

/// The path at the start of `text`, up to the end of its braces.
fn path_at(text: &str) -> &str {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' if text[..at].ends_with("::") || depth > 0 => depth += 1,
            '}' if depth == 1 => return &text[..=at],
            '}' if depth > 0 => depth -= 1,
            c if c.is_alphanumeric() || c == '_' || c == ':' => {}
            _ if depth > 0 => {}
            _ => return &text[..at],
        }
    }
    text
}

fn expand(before: &str, path: &str, found: &mut Vec<String>) {
    let Some((head, group)) = path.split_once('{') else {
        let path = path.split(" as ").next().unwrap_or_default().trim();
        return found.push(format!("{before}{path}"));
    };
    let before = format!("{before}{}", head.trim());
    let group = group.trim_end().trim_end_matches('}');
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = group[start..at].trim();
                if !part.is_empty() {
                    expand(&before, part, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The module that a path leads into: the longest beginning that is one.
fn resolve(from: &Module, path: &str, modules: &BTreeMap<Module, String>) -> Option<Module> {
    let mut names: Vec<&str> = path.split("::").map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut at: Module = match names.first() {
        Some(&"crate") => Module::new(),
        _ => from.clone(),
    };
    while matches!(names.first(), Some(&("crate" | "self" | "super"))) {
        if names.remove(0) == "super" {
            at.pop();
        }
    }
    at.extend(names.into_iter().map(str::to_owned));
    (0..=at.len()).rev().map(|len| at[..len].to_vec()).find(|module| modules.contains_key(module))
}

/// Modules in which a type of each name is made.
fn homes(texts: &BTreeMap<Module, String>) -> BTreeMap<String, Vec<Module>> {
    let mut homes: BTreeMap<String, Vec<Module>> = BTreeMap::new();
    for (module, code) in texts {
        for word in ["struct ", "enum "] {
            for name in names_after(code, word) {
                homes.entry(name).or_default().push(module.clone());
            }
        }
    }
    homes
}

/// Types that have an `impl` block here which is no trait's.
fn impls(code: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| line.starts_with("impl"));
    lines
        .filter(|line| !line.contains(" for "))
        .filter_map(|line| {
            let rest = line.strip_prefix("impl")?;
            let rest = rest
                .strip_prefix('<')
                .map_or(rest, |generic| generic.split_once('>').map_or("", |(_, rest)| rest));
            rest.trim_start().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
        })
        .collect()
}

/// Names that follow `word` where it begins an item.
pub(crate) fn names_after(code: &str, word: &str) -> Vec<String> {
    let found = code
        .match_indices(word)
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
    let name = |(at, _): (usize, &str)| {
        code[at + word.len()..]
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    found.map(name).filter(|name| name.starts_with(char::is_uppercase)).collect()
}
