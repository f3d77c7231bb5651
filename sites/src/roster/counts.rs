//! What lists count, of a whole school and of one of its sites: for each count its columns, and its place
//! among the facts.

use super::mapping::Columns;
use crate::facts::{Fact, Facts};

/// One of the counts of [`Facts`].
#[derive(Clone, Copy)]
pub(super) struct Count {
    pub(super) fact: Fact,
    /// Whether the sites of a school together count as many as the school: a pupil belongs to one of them,
    /// a teacher may teach at several.
    pub(super) adds_up: bool,
    of_facts: fn(&mut Facts) -> &mut Option<u32>,
    columns: fn(&mut Columns) -> [&mut Option<String>; 2],
}

/// All counts, in the order of the site file.
pub(super) const COUNTS: [Count; 6] = [
    Count {
        fact: Fact::Classes,
        adds_up: true,
        of_facts: |facts| &mut facts.classes,
        columns: |columns| [&mut columns.classes, &mut columns.site_classes],
    },
    Count {
        fact: Fact::Pupils,
        adds_up: true,
        of_facts: |facts| &mut facts.pupils,
        columns: |columns| [&mut columns.pupils, &mut columns.site_pupils],
    },
    Count {
        fact: Fact::Teachers,
        adds_up: false,
        of_facts: |facts| &mut facts.teachers,
        columns: |columns| [&mut columns.teachers, &mut columns.site_teachers],
    },
    Count {
        fact: Fact::Staff,
        adds_up: false,
        of_facts: |facts| &mut facts.staff,
        columns: |columns| [&mut columns.staff, &mut columns.site_staff],
    },
    Count {
        fact: Fact::RoomsTeaching,
        adds_up: true,
        of_facts: |facts| &mut facts.rooms_teaching,
        columns: |columns| {
            [
                &mut columns.rooms_teaching,
                &mut columns.site_rooms_teaching,
            ]
        },
    },
    Count {
        fact: Fact::Devices,
        adds_up: true,
        of_facts: |facts| &mut facts.devices,
        columns: |columns| [&mut columns.devices, &mut columns.site_devices],
    },
];

impl Count {
    /// What `facts` state.
    pub(super) fn of(self, facts: Facts) -> Option<u32> {
        facts.get(self.fact).ok()
    }

    pub(super) fn set(self, facts: &mut Facts, count: Option<u32>) {
        *(self.of_facts)(facts) = count;
    }

    /// The columns of the whole school and of the site.
    pub(super) fn columns(self, columns: &Columns) -> [Option<String>; 2] {
        (self.columns)(&mut columns.clone()).map(|column| column.clone())
    }

    /// The column that counts at the site alone.
    pub(super) fn site_column(self, columns: &Columns) -> Option<String> {
        let [_, of_site] = self.columns(columns);
        of_site
    }

    /// Takes the column of the school for one that counts at each site.
    pub(super) fn ask_of_the_site(self, columns: &mut Columns) {
        let [of_school, of_site] = (self.columns)(columns);
        *of_site = of_school.take();
    }
}
