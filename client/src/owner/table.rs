//! Tables: columns as wide as their cells, numbers to the right.
//!
//! A list may be longer than the memory, so a table is printed some rows at a time; columns only grow on the way down. Not
//! here: the cells.

use super::{
    output::{Output, or_nobody_reads},
    plain::plain,
};
use std::io;

/// Rows printed together: a screen shows fewer, so what a person sees at once is in line.
const ROWS_TOGETHER: usize = 1000;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Left(&'static str),
    Right(&'static str),
}

impl Column {
    fn name(&self) -> &'static str {
        let (Self::Left(name) | Self::Right(name)) = self;
        name
    }
}

/// A table whose rows come one by one.
pub(super) struct LongTable<'a> {
    heads: &'a [Column],
    widths: Vec<usize>,
    waiting: Vec<Vec<String>>,
    is_begun: bool,
}

impl<'a> LongTable<'a> {
    pub(super) fn new(heads: &'a [Column]) -> Self {
        let widths = heads.iter().map(|head| head.name().chars().count()).collect();
        Self { heads, widths, waiting: Vec::new(), is_begun: false }
    }

    /// Adds a row, with a cell for each column.
    ///
    /// # Errors
    /// Those of the output; `BrokenPipe` too, so that a long list is not fetched for nobody.
    pub(super) fn row(&mut self, row: Vec<String>, output: &mut Output) -> io::Result<()> {
        self.waiting.push(row);
        if self.waiting.len() < ROWS_TOGETHER { Ok(()) } else { self.print(output) }
    }

    /// Prints what waits. A table without rows shows its heads.
    pub(super) fn end(mut self, output: &mut Output) -> io::Result<()> {
        if self.waiting.is_empty() && self.is_begun { Ok(()) } else { self.print(output) }
    }

    fn print(&mut self, output: &mut Output) -> io::Result<()> {
        // Before the widths are taken: an escaped character is wider.
        let rows: Vec<Vec<String>> = std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|row| row.iter().map(|cell| plain(cell).into_owned()).collect())
            .collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            let names: Vec<String> = self.heads.iter().map(|head| head.name().to_owned()).collect();
            writeln!(output.writer(), "{}", self.in_columns(&names))?;
        }
        rows.iter().try_for_each(|row| writeln!(output.writer(), "{}", self.in_columns(row)))
    }

    fn in_columns(&self, row: &[String]) -> String {
        let mut line = String::new();
        for ((cell, head), width) in row.iter().zip(self.heads).zip(&self.widths) {
            match head {
                Column::Left(_) => line.push_str(&format!("{cell:<width$}  ")),
                Column::Right(_) => line.push_str(&format!("{cell:>width$}  ")),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A whole table.
pub(super) fn print_table(heads: &[Column], rows: Vec<Vec<String>>, output: &mut Output) -> io::Result<()> {
    let mut table = LongTable::new(heads);
    // Nothing is printed before the end, so that the columns of a short table are in line.
    table.waiting = rows;
    or_nobody_reads(table.end(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_below_their_heads() {
        let heads = [Column::Left("NAME"), Column::Right("SIZE"), Column::Left("")];
        let mut table = LongTable::new(&heads);
        table.widths = vec![4, 6, 0];
        let row = |cells: [&str; 3]| table.in_columns(&cells.map(str::to_owned));
        assert_eq!(row(["a", "1.0 kB", ""]), "a     1.0 kB");
        assert_eq!(row(["dir/", "12 B", "x"]), "dir/    12 B  x");
    }
}
