//! Sealing chapters of the ledger on each disk.
//!
//! Not here: the file of a chapter (`ledger::chapters`).

use crate::Result;
use crate::core::Core;
use crate::ledger::chapters::seal;
use crate::ledger::listing;
use larder_format::layout;
use larder_format::ledger::chapter::chapter_of;

/// Seals one chapter on one disk, where a folder of the ledger is full. Returns whether there may be more to seal.
pub(crate) fn seal_chapter(core: &Core) -> Result<bool> {
    core.require_own_format()?;
    let full = chapter_of(core.ledger().head.sequence + 1);
    for member in core.members.all().iter().filter(|member| member.is_healthy()) {
        let disk = member.disk.as_ref();
        let sealed = listing::list(disk).map_err(|source| member.failed(layout::LEDGER, source))?.chapters;
        let wanted =
            |chapter: &u64| !sealed.contains(chapter) && !core.trouble().is_unsealable(member, *chapter);
        let Some(chapter) = (0..full).find(wanted) else { continue };
        let path = layout::chapter(chapter);
        if !seal(disk, chapter).map_err(|source| member.failed(&path, source))? {
            core.trouble().note_unsealable(member, chapter);
        }
        return Ok(true);
    }
    Ok(false)
}
