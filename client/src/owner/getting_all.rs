//! `larder restore --all`: every source that the key may read, each into a folder of its own.
//!
//! For the new computer of somebody whose old one is gone. A source that cannot come back costs no other; an appliance
//! that is gone, or a full disk, ends the rest, since every further source would only wait and fail alike. Not here: the
//! same from a pulled disk (`rescuing`).

use super::{
    getting::RestoreArgs,
    options::GlobalOptions,
    output::{CommandError, Output, count, counted, size},
    previewing,
    progress::with_bar,
    rescued::Sum,
    screen::say,
    skipped::{name_skipped, skipped_json},
    table::{Column, print_table},
    words,
};
use crate::{
    ClientError, Connection, Past, RestoreOptions, Restored, RoomCheck, Selection, TransferProgress,
    link::{path::checked_source, questions},
    preview, restore as bring_back,
    restore::check_room,
    wanted_bytes,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use Column::{Left, Right};

/// A source on its way back.
struct OneSource {
    name: String,
    to: PathBuf,
    /// Number of the snapshot, once known.
    snapshot: Option<u64>,
    ended: SourceEnd,
}

enum SourceEnd {
    NotTried,
    Back(Restored),
    /// The patterns leave nothing of it, as they may be meant to.
    Unwanted,
    Failed(ClientError),
}

pub(super) fn restore_all(
    args: &RestoreArgs,
    global: &GlobalOptions,
    output: &mut Output,
) -> Result<u8, CommandError> {
    if args.loudness.quiet {
        output.hush();
    }
    let when = args.at.when()?;
    let connection = global.connect()?;
    let mut sources = sources(&connection, args)?;
    let options = args.options(output);
    if args.dry_run {
        return dry_run(&connection, &sources, args, output);
    }
    // Every source that can be asked for, before the first byte: half of everything would be found out after hours.
    let mut bytes = 0u64;
    for source in &mut sources {
        match source.look(&connection, when, &options) {
            Ok(wanted) => bytes = bytes.saturating_add(wanted),
            Err(ClientError::NothingWanted { .. }) => source.ended = SourceEnd::Unwanted,
            Err(trouble) if ends_all(&trouble) => return Err(trouble.into()),
            Err(trouble) => source.ended = SourceEnd::Failed(trouble),
        }
    }
    if let Some(source) = sources.first().filter(|_| sources.iter().all(OneSource::is_unwanted)) {
        return Err(ClientError::NothingWanted { of: source.name.clone() }.into());
    }
    if options.room == RoomCheck::First {
        check_room(&args.to, bytes)?;
    }
    let options = RestoreOptions { room: RoomCheck::Never, ..options };
    let started = Instant::now();
    for source in sources.iter_mut().filter(|source| matches!(source.ended, SourceEnd::NotTried)) {
        let progress = TransferProgress::default();
        let number = source.snapshot.map(|number| number.to_string());
        let wanted = Selection { source: &source.name, when: number.as_deref().unwrap_or(when), path: b"" };
        let restored = with_bar(&progress, output, None, || {
            bring_back(&connection, &wanted, &source.to, &options, &progress)
        });
        let is_over = restored.as_ref().is_err_and(ends_all);
        source.ended = restored.map_or_else(SourceEnd::Failed, SourceEnd::Back);
        if is_over {
            break;
        }
    }
    let end = AllEnd { sources, seconds: started.elapsed().as_secs_f64() };
    if output.is_json() {
        output.json(&end.json())?
    } else {
        end.tell(args, output)?
    }
    Ok(end.exit_code())
}

/// Whether every further source would end alike.
fn ends_all(trouble: &ClientError) -> bool {
    let is_gone = matches!(
        trouble,
        ClientError::Unreachable { .. } | ClientError::NotPaired { .. } | ClientError::Unwritten { .. }
    );
    is_gone || ["unauthorized", "forbidden"].iter().any(|code| trouble.has_code(code))
}

fn sources(connection: &Connection, args: &RestoreArgs) -> Result<Vec<OneSource>, ClientError> {
    let mut sources = Vec::new();
    for source in questions::sources(connection)? {
        // A name comes over the network, and becomes a path.
        let name = checked_source(&source.source)?;
        let device = name.split_once('/').map(|(device, _)| device);
        if args.device.as_deref().is_none_or(|wanted| device == Some(wanted)) {
            sources.push(OneSource {
                to: args.to.join(&name),
                name,
                snapshot: None,
                ended: SourceEnd::NotTried,
            });
        }
    }
    if sources.is_empty() {
        let what = match &args.device {
            Some(device) => format!("No device called \"{device}\" has backed anything up."),
            None => "There is nothing in the backup yet.".to_owned(),
        };
        return Err(ClientError::NotThere { what, remedy: "`larder sources` lists what there is." });
    }
    Ok(sources)
}

impl OneSource {
    /// Finds the snapshot, and how many bytes come back.
    fn look(
        &mut self,
        connection: &Connection,
        when: &str,
        options: &RestoreOptions,
    ) -> Result<u64, ClientError> {
        let number = connection.snapshot(&self.name, when)?.snapshot;
        self.snapshot = Some(number);
        wanted_bytes(
            connection,
            &Selection { source: &self.name, when: &number.to_string(), path: b"" },
            options,
        )
    }

    fn is_unwanted(&self) -> bool {
        matches!(self.ended, SourceEnd::Unwanted)
    }

    fn row(&self) -> Vec<String> {
        let snapshot = self.snapshot.map(|number| number.to_string()).unwrap_or_default();
        let (files, bytes, ended) = match &self.ended {
            SourceEnd::Back(restored) => {
                let skipped = restored.skipped.count;
                let but = if skipped > 0 { format!(", but for {}", count(skipped)) } else { String::new() };
                let back = format!("back in {}{but}", self.to.display());
                (count(restored.files), size(restored.bytes), back)
            }
            SourceEnd::Failed(trouble) => {
                (String::new(), String::new(), format!("NOT BACK: {}", words::problem_of(trouble).what))
            }
            SourceEnd::NotTried => (String::new(), String::new(), "NOT BACK: not tried any more".to_owned()),
            SourceEnd::Unwanted => (String::new(), String::new(), "nothing in it is wanted".to_owned()),
        };
        vec![self.name.clone(), snapshot, files, bytes, ended]
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "source": self.name,
            "snapshot": self.snapshot,
            "to": self.to.display().to_string(),
            "back": matches!(self.ended, SourceEnd::Back(_)),
        });
        match &self.ended {
            SourceEnd::Back(restored) => {
                value["files"] = restored.files.into();
                value["folders"] = restored.folders.into();
                value["bytes"] = restored.bytes.into();
                value["damaged"] = restored.damaged.into();
                value["owners_left_out"] = restored.owners_left_out.into();
                value["attributes_left_out"] = restored.attributes_left_out.into();
                value["skipped"] = skipped_json(&restored.skipped);
            }
            SourceEnd::Failed(trouble) => value["problem"] = json!(words::problem_of(trouble)),
            SourceEnd::Unwanted => value["unwanted"] = true.into(),
            SourceEnd::NotTried => {}
        }
        value
    }
}

/// What is back, and what is not.
struct AllEnd {
    sources: Vec<OneSource>,
    seconds: f64,
}

impl AllEnd {
    fn json(&self) -> Value {
        json!({ "sources": self.sources.iter().map(OneSource::json).collect::<Vec<_>>(), "seconds": self.seconds })
    }

    fn not_back(&self) -> usize {
        let is_lost = |end: &SourceEnd| matches!(end, SourceEnd::Failed(_) | SourceEnd::NotTried);
        self.sources.iter().filter(|source| is_lost(&source.ended)).count()
    }

    fn back(&self) -> usize {
        self.sources.iter().filter(|source| matches!(source.ended, SourceEnd::Back(_))).count()
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for source in &self.sources {
            if let SourceEnd::Back(restored) = &source.ended {
                sum.add_restored(&source.name, restored);
            }
        }
        sum
    }

    fn exit_code(&self) -> u8 {
        let failed = self.sources.iter().filter_map(|source| match &source.ended {
            SourceEnd::Failed(trouble) => Some(trouble.exit_code()),
            SourceEnd::Back(_) | SourceEnd::NotTried | SourceEnd::Unwanted => None,
        });
        // Damage goes before everything else, and a lost source before a lost attribute.
        match (failed.max(), self.sum().files_code()) {
            (Some(6), _) | (_, 6) => 6,
            (Some(code), _) => code,
            (None, code) => code,
        }
    }

    fn tell(&self, args: &RestoreArgs, output: &mut Output) -> std::io::Result<()> {
        let (sum, lost) = (self.sum(), self.not_back());
        if !output.is_quiet() || lost > 0 {
            let heads = [Left("SOURCE"), Right("SNAPSHOT"), Right("FILES"), Right("SIZE"), Left("")];
            print_table(&heads, self.sources.iter().map(OneSource::row).collect(), output)?;
        }
        let back = words::are_back(sum.files, sum.folders, sum.bytes);
        let of = counted(self.back() as u64, "source", "sources");
        output.note(format!("{back} in {}, of {of}; {:.1} s.", args.to.display(), self.seconds))?;
        for line in words::left_out(sum.owners_left_out, sum.attributes_left_out) {
            output.line(line)?;
        }
        output.flush()?;
        name_skipped(
            &sum.skipped,
            args.loudness,
            "Everything else of these sources is back.",
            "Mend what is said beside each name and run it again; what is in the way stays unless you add --overwrite.",
        );
        self.tell_of_lost(&args.to);
        Ok(())
    }

    fn tell_of_lost(&self, to: &Path) {
        let lost = self.not_back();
        if lost == 0 {
            return;
        }
        let what = if lost == 1 {
            "1 source is not back".to_owned()
        } else {
            format!("{lost} sources are not back")
        };
        say(format_args!("{what}; the table says why. They are in the backup as they were."));
        say(format_args!(
            "Put that right, then run the same command again: what is back in {} already is not fetched again.",
            to.display()
        ));
    }
}

fn dry_run(
    connection: &Connection,
    sources: &[OneSource],
    args: &RestoreArgs,
    output: &mut Output,
) -> Result<u8, CommandError> {
    let (when, options) = (args.at.when()?, args.options(output));
    let (mut worst, mut bytes, mut told) = (0, 0u64, Vec::new());
    for source in sources {
        let wanted = Selection { source: &source.name, when, path: b"" };
        let progress = TransferProgress::default();
        let look = || preview(connection, &wanted, &source.to, &options, &progress);
        let seen = match with_bar(&progress, output, None, look) {
            Ok(seen) => seen,
            Err(ClientError::NothingWanted { .. }) => {
                if !output.is_json() {
                    output.line(format!("{}: nothing in it is wanted", source.name))?;
                }
                told.push(json!({ "source": source.name, "unwanted": true }));
                continue;
            }
            Err(trouble) if ends_all(&trouble) => return Err(trouble.into()),
            Err(trouble) => {
                worst = worst.max(trouble.exit_code());
                let problem = words::problem_of(&trouble);
                if !output.is_json() {
                    output.line(format!("{}: would not come back: {}", source.name, problem.what))?;
                }
                told.push(json!({ "source": source.name, "problem": problem }));
                continue;
            }
        };
        bytes = bytes.saturating_add(seen.bytes_to_come());
        let lacks = seen.skipped.count + seen.in_the_way.count();
        worst = worst.max(words::exit_code(seen.damaged, lacks, 0));
        if !output.is_json() {
            let in_the_way = match seen.in_the_way.count() {
                0 => String::new(),
                _ => format!("; in the way: {}", previewing::in_words(&seen.in_the_way)),
            };
            output.line(format!(
                "{}: would be made in {}: {}; there already: {}{in_the_way}",
                source.name,
                source.to.display(),
                previewing::in_words(&seen.made),
                previewing::in_words(&seen.left),
            ))?;
        }
        told.push(previewing::preview_json(&source.name, &seen));
    }
    if output.is_json() {
        output.json(&json!({ "sources": told, "dry_run": true }))?;
    } else {
        output.line("This was a dry run: nothing was written.")?;
    }
    if options.room == RoomCheck::First {
        output.flush()?;
        check_room(&args.to, bytes)?;
    }
    Ok(worst)
}
