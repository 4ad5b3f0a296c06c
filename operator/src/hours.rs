//! Lists the hours of a range: the lake is read hour by hour.

use myaku::lake::archive::Hour;
use std::ops::RangeInclusive;

/// Returns each hour of a range, in order.
pub(crate) fn each_hour(hours: &RangeInclusive<Hour>) -> impl Iterator<Item = Hour> + use<> {
    let last = *hours.end();
    let following = move |hour: &Hour| (*hour < last).then(|| hour.next());
    std::iter::successors((*hours.start() <= last).then_some(*hours.start()), following)
}
