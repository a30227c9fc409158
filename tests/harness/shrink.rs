//! Cutting a failure down: the fewest things that still fail (delta debugging, Zeller and Hildebrandt 2002).
//!
//! Not here: what the things are. A run must depend on nothing but the list, or its parts cannot be judged alone.

/// Leaves out parts of `all` as long as `fails` says that the rest still fails; at most `runs_max` runs.
pub fn shrink<T: Clone>(all: &[T], runs_max: usize, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut left = all.to_vec();
    let mut runs = 0;
    let mut step = left.len().div_ceil(2);
    while step > 0 {
        let mut at = 0;
        let mut smaller = false;
        while at < left.len() {
            if runs == runs_max {
                return left;
            }
            runs += 1;
            let end = (at + step).min(left.len());
            let without: Vec<T> = [&left[..at], &left[end..]].concat();
            if fails(&without) {
                left = without;
                smaller = true;
            } else {
                at = end;
            }
        }
        // At single things, one more round as long as a round still found something to leave out.
        if !(step == 1 && smaller) {
            step /= 2;
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn only_what_is_needed_is_left() {
        let all: Vec<u32> = (0..100).collect();
        let needs = |list: &[u32]| [7, 50, 51].iter().all(|wanted| list.contains(wanted));
        assert_eq!(shrink(&all, 1000, needs), [7, 50, 51]);
        assert_eq!(shrink(&all, 1000, |_| true), [0; 0]);
        assert_eq!(shrink(&all, 0, |_| true), all, "a bound is a bound");
    }
}
