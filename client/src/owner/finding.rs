//! `larder find`: where a name is or was, over all kept snapshots.

use super::{
    options::GlobalOptions,
    output::{CommandError, Output, moment},
    spot::{Spot, full_source},
    table::{Column, print_table},
};
use crate::{
    ClientError,
    link::questions::{self, FindWish},
};
use larder_format::wire::{FoundName, FoundNames, unescape_name};

use Column::Left;

/// What to find.
#[derive(Debug, clap::Args)]
pub(super) struct FindArgs {
    /// A part of the name, in any case; `*` and `?` stand for any characters, and with `/` the whole path counts
    name: String,
    /// Only in this source
    #[arg(long)]
    source: Option<String>,
    /// Only what is not in the newest snapshot
    #[arg(long)]
    deleted: bool,
    /// Names at most
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
}

pub(super) fn find(args: &FindArgs, global: &GlobalOptions, output: &mut Output) -> Result<u8, CommandError> {
    if args.name.is_empty() {
        return Err(ClientError::Usage("write a part of the name to find".to_owned()).into());
    }
    let connection = global.ask()?;
    let source = args.source.as_deref().map(|source| full_source(source, &connection)).transpose()?;
    let wish =
        FindWish { name: &args.name, source: source.as_deref(), deleted: args.deleted, limit: args.limit };
    let found = questions::find(&connection, &wish)?;
    if output.is_json() {
        output.json(&found)?;
        return Ok(0);
    }
    if found.hits.is_empty() {
        let what = match (args.deleted, found.is_complete) {
            (true, true) => "Nothing deleted is kept",
            (false, true) => "No kept snapshot has anything",
            // What was not read yet may have it.
            (_, false) => "Nothing was found",
        };
        output.line(format!("{what} with \"{}\" in its name.", args.name))?;
    } else {
        table(&found, output)?;
    }
    if found.has_more {
        output.line("There are more; write more of the name, or --source.")?;
    }
    if !found.is_complete {
        output.line(
            "The appliance has not read all names, or has no room left to note them: something may be missing here. `larder \
             ls -R SOURCE` shows everything of one backup.",
        )?;
    }
    Ok(0)
}

fn table(found: &FoundNames, output: &mut Output) -> std::io::Result<()> {
    let row = |hit: &FoundName| {
        let end = if hit.is_folder { "/" } else { "" };
        let until = if hit.is_there { "still there".to_owned() } else { moment(&hit.until) };
        // As `larder restore` takes it in a shell.
        let path = unescape_name(&hit.path).unwrap_or_else(|| hit.path.clone().into_bytes());
        let place = Spot::typed(&hit.source, hit.last, &[&*path, end.as_bytes()].concat());
        vec![moment(&hit.since), until, place]
    };
    let rows: Vec<_> = found.hits.iter().map(row).collect();
    print_table(&[Left("FROM"), Left("TO"), Left("PLACE")], rows, output)
}
