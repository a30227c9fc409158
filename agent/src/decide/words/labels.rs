//! Words about labels: snapshots that the owner keeps whatever the rule says.

use crate::decide::facts::LabelFacts;
use crate::phrase::counted;
use jiff::tz::TimeZone;

/// Labels named in one sentence; `larder snapshots` shows the rest.
const NAMED_MAX: usize = 3;

/// What stays beyond the rule, with the days of a reader in `zone`; none without a label.
pub(super) fn kept(labels: &[LabelFacts], zone: &TimeZone) -> Option<String> {
    let (named, others) = labels.split_at(labels.len().min(NAMED_MAX));
    let named: Vec<_> =
        named.iter().map(|label| format!("{}, {}", backup(label), until(label, Some(zone)))).collect();
    let more = match others.len() as u64 {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (!named.is_empty()).then(|| format!("Kept by the owner besides: {}{more}.", named.join("; ")))
}

/// A label that somebody at the box shortens.
pub(super) fn ending(source: &str, label: &LabelFacts) -> [String; 3] {
    let (backup, until, number) = (backup(label), until(label, None), label.snapshot);
    let hours = counted(label.shortens_in_s.unwrap_or(0).div_ceil(3600), "hour", "hours");
    [
        format!("Somebody at the box shortens how long {backup} of {source} is kept, in {hours}: {until}."),
        "Until then it is kept and can be restored; after that it stays only as long as the rule says."
            .to_owned(),
        format!("Nothing, if it was you. If not, at the box: `larderd keep {number}`."),
    ]
}

fn backup(label: &LabelFacts) -> String {
    match label.text.as_str() {
        "" => format!("backup {}", label.snapshot),
        text => format!("backup {} \"{text}\"", label.snapshot),
    }
}

/// The end in `zone`; in the zone of the box for readers that are not known.
fn until(label: &LabelFacts, zone: Option<&TimeZone>) -> String {
    let there =
        label.until.as_ref().map(|at| zone.map_or(at.clone(), |zone| at.with_time_zone(zone.clone())));
    there.map_or_else(|| "for ever".to_owned(), |at| at.strftime("until %Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn label(snapshot: u64, text: &str, until: Option<&str>) -> LabelFacts {
        let until = until.map(|until| until.parse::<Timestamp>().unwrap().to_zoned(TimeZone::UTC));
        LabelFacts { snapshot, text: text.to_owned(), until, shortens_in_s: Some(7201) }
    }

    #[test]
    fn labels_are_named_up_to_a_few() {
        assert_eq!(kept(&[], &TimeZone::UTC), None);
        let one = label(12, "before the move", None);
        let other = label(20, "", Some("2030-01-01T00:00:00Z"));
        let both = kept(&[one.clone(), other.clone()], &TimeZone::UTC).unwrap();
        assert_eq!(
            both,
            "Kept by the owner besides: backup 12 \"before the move\", for ever; backup 20, until 2030-01-01."
        );
        let new_york = TimeZone::fixed(jiff::tz::offset(-5));
        assert!(kept(std::slice::from_ref(&other), &new_york).unwrap().ends_with("until 2029-12-31."));
        let many = kept(&[one, other.clone(), other.clone(), other.clone(), other], &TimeZone::UTC).unwrap();
        assert!(many.ends_with("; and 2 more."), "{many}");
    }

    #[test]
    fn an_end_says_when_and_how_it_is_taken_back() {
        let [what, _, remedy] = ending("a/b", &label(12, "v2", Some("2030-01-01T00:00:00Z")));
        assert!(what.contains("backup 12 \"v2\" of a/b is kept, in 3 hours: until 2030-01-01"), "{what}");
        assert!(remedy.contains("larderd keep 12"), "{remedy}");
    }
}
