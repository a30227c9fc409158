//! Times every hot path: `cargo bench -p larder-bench`, or with names behind `--` only those.

use divan::{Bencher, counter::BytesCount, counter::ItemsCount};
use hot_paths::{Amount, HOT_PATHS, HotPath};

fn main() {
    divan::main();
}

#[divan::bench(args = HOT_PATHS.iter().map(|path| path.name), sample_count = 20)]
fn hot_path(bencher: Bencher<'_, '_>, name: &str) {
    let HotPath { amount, prepare, .. } =
        HOT_PATHS.iter().find(|path| path.name == name).expect("a name of the list");
    let work = prepare();
    let work = std::cell::RefCell::new(work);
    match amount {
        Amount::Bytes(bytes) => {
            bencher.counter(BytesCount::new(*bytes)).bench_local(|| (work.borrow_mut())())
        }
        Amount::Items(items) => {
            bencher.counter(ItemsCount::new(*items)).bench_local(|| (work.borrow_mut())())
        }
    }
}
