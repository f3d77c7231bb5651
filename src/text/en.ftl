# What the program says in English. One key a sentence; src/words.rs fills the gaps.

## Verdicts
verdict-met = met
verdict-missed = missed
verdict-undecided = undecided
verdict-no-data = no data

undecided-too-few = { $have } of { $need } samples
undecided-too-few-days = samples on { $have } of { $need } days
undecided-straddles = the interval holds the threshold
undecided-more-days = at least { $days } more days of measuring are needed to decide
undecided-more = at least { $more } more samples are needed to decide
undecided-for-long = no foreseeable number of samples could decide
undecided-port = the agent's port ({ $port }) carries { $ceiling } at most, and { $needed } would have to be seen
undecided-box = the agent itself carries { $ceiling } at most, and { $needed } would have to be seen
no-data-no-samples = nothing was measured
no-data-no-samples-in-window = nothing was measured { $window }
no-data-only-failures = all { $failures } measurements failed
no-data-not-assessable = no threshold: { $because }
no-data-inventory-not-stated = inventory not stated ({ $item })
no-data-service-not-stated = the site file names no service { $service }
exception-holds = exception until { $until } ({ $by }): { $reason }
exception-expired = exception expired on { $until } ({ $by }): { $reason }
no-data-wrong-unit = measured in { $found }, wanted in { $expected }

threshold-tolerated = { $strict } (measured { $tolerated })
threshold-capped = { $workings }, capped at { $cap }
contract-satisfies = contract { $contract }: enough
contract-too-small = contract { $contract }: too small

statistic-median = median
statistic-percentile = { $percent }th percentile
statistic-share-of-days = best value on { $percent }% of the days
layers = measured as { $measured }, required as { $threshold }
not-assessable-missing-fact = the fact "{ $fact }" of the school is missing
not-assessable-division = the formula divides by zero
not-assessable-range = the formula gives no usable threshold

## Failures
failure-timeout = no answer in time
failure-refused = refused
failure-unreachable = not reachable
failure-name-resolution = the name has no address
failure-tls = the secured connection failed
failure-protocol = the answer was not as it should be
failure-permission = not permitted on this machine
failure-interface = the interface is missing or down
failure-busy = the peer was busy
failure-budget = left out, to keep within the line's budget

## Targets
targets-list-heading = Profile, country, status, targets (measured + from the inventory), title:
targets-valid-from = valid from
targets-valid-to = valid to
targets-extends = extends
targets-cap = at most
targets-threshold = threshold
targets-tolerated = tolerated
targets-inventory = Inventory (no measurement can find it out)
window-lesson-hours = in lesson hours
window-off-lesson = outside lessons
window-own = in the window "{ $name }"
stated-there = there
stated-not-there = not there
stated-fact = { $fact } = { $value }, as of { $on }, { $from }
stated-facts = { $count } facts, the oldest of { $on }
stated-open = In { $count ->
    [one] one case
   *[other] { $count } cases
} (target and school) nobody has stated anything of the inventory: no data. "messnetz sites template --out inventory.xlsx" writes a sheet to collect it with, "messnetz sites inventory" enters it.
status-current = current
status-historic = historic
status-vendor = vendor
status-project = project
mark-seen = seen in the source
mark-reported = reported by { $by }
mark-calculated = calculated
mark-project = project default

## Layers
layer-contract = contract
layer-ip = IP
layer-tcp-payload = TCP payload

## Quantities
quantity-down = download rate
quantity-up = upload rate
quantity-link-speed = port speed
quantity-own-speed = largest speed of the own port
quantity-peer-speed = largest speed of the other end of the cable
quantity-half-duplex = half duplex
quantity-frame-errors = broken frames
quantity-other-traffic = other traffic during the tests
quantity-cpu = processor time of the agent
quantity-busiest-core = use of the busiest processor core
quantity-ceiling = what the agent itself carries
quantity-rtt = round-trip time
quantity-rtt-idle = round-trip time before a capacity test
quantity-rtt-loaded-down = round-trip time during a download
quantity-rtt-loaded-up = round-trip time during an upload
quantity-added-delay-down = delay added by a download
quantity-added-delay-up = delay added by an upload
quantity-responsiveness-down = responsiveness during a download
quantity-responsiveness-up = responsiveness during an upload
quantity-jitter = jitter
quantity-loss = loss
quantity-loss-down = loss towards the school
quantity-loss-up = loss from the school
quantity-dns = time of the name server
quantity-connect = time to connect
quantity-tls = time of the TLS handshake
quantity-first-byte = time to the first byte
quantity-http = time of the page
quantity-reachable = reachability
quantity-rssi = signal at the measuring point
quantity-snr = signal-to-noise ratio at the measuring point
quantity-utilisation = channel utilisation

## Causes
cause-contract-too-small = line: the contract of { $contract } is below { $needed }
cause-contract-exhausted = line: { $measured } of { $contract } arrive, which keeps the contract; { $needed } are needed
cause-line-under-delivers = line: { $measured } of { $contract } arrive, it loses { $loss }
cause-provider-under-delivers = provider: { $measured } of { $contract } arrive, LAN and line are clean
cause-switch-port-slow = switch port: it offers { $port }, the agent could do { $own }
cause-switch-port-cable = cable at the switch port: both ends could do { $own }, they agreed on { $port }
cause-switch-port-half-duplex = switch port: half duplex
cause-switch-port-broken-frames = switch port or cable: { $share } of the frames arrive broken
cause-access-point = access point: { $quantity } { $measured }{ $evidence }
cause-access-point-lan = , in the LAN at the same time { $lan }
cause-agent = agent: { $quantity } { $measured }, it had no more to give
cause-far-end = far end: { $quantity } { $measured }, at the same time { $against_other } against { $other }
cause-line-quality = line: { $quantity } { $measured }, limit { $limit }
cause-lan = LAN: { $quantity } { $measured }, limit { $limit }
cause-agent-port = agent: its port of { $port } is too small to tell
cause-service = service: { $quantity } { $measured }, the line to it is clean
cause-undecidable = not decidable; find out next: { $next }
unknown-contract = what the contract promises
unknown-quiet-port = { $quantity } ({ $metric }), while nobody else uses the agent's port

## Table and page
table-title = Target against measurement
table-school = School
table-target = Target
table-verdict = Verdict
table-observed = Observed
table-threshold = Threshold
table-samples = n (days)
table-period = Period
period-closed = { $period } (closed)
period-provisional = { $period } (provisional)
table-cause = Cause or reason
table-contract = Contract
table-source = Source
table-stated-title = Inventory: targets that no measurement can find out
table-stated = Stated
table-demanded = Demanded
table-as-of = As of and origin
table-remark = Remark
table-authority = Authority as a whole
shortened = Shortened evidence ({ $why }): not a verdict to decide on.
recommendations = Recommendations
recommendations-none = No target is missed for a known cause: nothing to recommend.
recommendation-upgrade = Upgrade
recommendation-once = Once
recommendation-monthly = Monthly
recommendation-because = Because
recommendation-reason = { $target }: { $observed } against { $threshold } (n = { $samples }). { $cause }
price-yours = your price
dashboard-title = Messnetz: { $authority }
dashboard-lead = { $met } met, { $missed } missed, { $undecided } undecided, { $none } without data.
dashboard-lead-stated = Inventory: { $met } met, { $missed } missed, { $none } without data.
dashboard-as-of = As of { $time } UTC; samples of the last { $days } days.
dashboard-overview = Overview
dashboard-coverage = Target coverage
dashboard-throughput = Measured against required download
dashboard-stated-chart = Inventory, as the authority states it
dashboard-table-below = The table below says the same in words.
dashboard-language = Deutsch
statistic = { $statistic } of { $samples } on { $days ->
    [one] one day
   *[other] { $days } days
}
legend-note = ✔ met, ✘ missed, ? undecided, – no data. Where a rate is required as a contract and measured as TCP payload, the tolerated value stands in brackets. Verdicts on closed periods are final, provisional ones may still change.

## Agents
agents-title = Agents
agents-none = No agent is enrolled yet.
agents-agent = Agent
agents-state = State
agents-line = Line, seen from the collector
agents-batches = Batches
agents-numbers = Gaps and lateness
agents-note = A silent agent is no outage of the line: what was not measured is “no data”. Gaps are numbers that never came; `messnetz collector gaps` tells which. Late is what came more than a day after it was measured.
agent-live = live
agent-at-risk = at risk
agent-lost = lost
agent-never = nothing ever came
agent-received = last batch { $time } UTC
line-answers = agent silent, line answers ({ $time } UTC)
line-silent = agent silent, line does not answer ({ $time } UTC)
line-not-available = collector's view not available: { $why }
line-not-stated = no address of the line is stated
line-not-asked = not asked lately
agent-gaps = { $gaps ->
    [one] one gap
   *[other] { $gaps } gaps
} ({ $missing } batches missing)
agent-beside = { $epochs ->
    [one] one epoch
   *[other] { $epochs } epochs
} beside a later one
agent-late = { $batches } late
agent-behind = { $batches } of them back-dated, or measured by a clock that was set back
reopened = re-opened: { $samples } samples came after it was closed, the last on { $time } UTC
reopened-behind = { $samples } of them older than what the agent had sent before

## Audit
audit-title = Audit of { $school }
audit-is-snapshot = A snapshot of one visit: it says above or below today, and never met or missed.
visit-head = { $school } ({ $site }), { $began } UTC: { $count } observations, signed by { $agent }
series-none = Nothing is stored of this site.
series-metric = Metric
series-peer = Far end
series-interface = Interface
series-values = Values
series-failures = Failures
series-pruned = Rolled up
series-first = From
series-last = To
series-values-from = Lowest
series-values-to = Highest
visits-title = Visits of the last three months
visits-none = No audit was handed in for these days.
chains-title = Ends of the chains of evidence
table-site = Site
chains-end = last batch
chains-hash = hash
chains-note = Who keeps these hashes can prove with “messnetz collector store check --against” that no batch up to here was cut or exchanged.
audit-above = above today
audit-below = below today
audit-favourable = good
audit-unfavourable = not good
audit-not-measured = not measured
audit-segment-wlan = Wi-Fi
audit-segment-lan = LAN
audit-segment-line = Line
audit-segment-service = Services
audit-segment-agent = Agent
audit-gateway-answers = the gateway answers
audit-gateway-silent = the gateway does not answer
audit-gateway-unknown = there is no gateway that could be asked
audit-over-wlan = measured over Wi-Fi: this says nothing about the cables and the line; use a cable for them
audit-interrupted = the visit was ended early; this is what was measured until then
audit-saved = saved: { $path }
audit-interface = own interface { $interface } ({ $medium }): { $speed }, { $duplex }, { $errors } errors
audit-speed-unknown = speed not stated by the driver
audit-duplex-full = full duplex
audit-duplex-half = half duplex
audit-duplex-unknown = duplex not stated by the driver
audit-medium-wired = wired
audit-medium-wlan = Wi-Fi
audit-medium-unknown = medium unknown
audit-no-route = no default route: this machine is not in a network that leads anywhere
audit-against = against { $peer }

## Trend and pace
trend-schools = Schools at target
trend-of = { $met } of { $schools } ({ $share }%)
trend-rolled-up = Samples until { $month } are kept no more, or not all of them: these months rest on hourly roll-ups, each value within 1/256 of what was measured.
trend-rate = Change per month
trend-outlook = Outlook
trend-slope = { $median } ({ $lower } to { $upper })
trend-slope-open = { $median } (too few months for an interval)
trend-none = no trend can be told
trend-stays = stays on its side of the threshold
trend-missed-from = at this rate missed from { $month } on
trend-met-from = at this rate met from { $month } on
pace-metric = Metric
pace-samples = Samples a day
pace-met = Days until met
pace-missed = Days until missed

## Contract check
contract-title = Contract check { $site }: { $product } ({ $provider })
contract-repeated = { $count } measurements stood in the files more than once and count once.
contract-valid = The campaign is valid: 30 measurements on 3 calendar days.
contract-invalid = The campaign is not valid; nothing follows from it. Broken rules:
contract-broken-days = { $have } measuring days in place of 3
contract-broken-per-day = { $day }: { $have } measurements in place of 10
contract-broken-no-day-between = no calendar day lies between { $first } and { $second }
contract-broken-too-long = { $first } to { $last } are { $days } calendar days, 14 are allowed
contract-broken-too-soon = { $pause } lie between { $first } and { $second }, 0:05:00 are needed
contract-broken-no-long-break = { $pause } lie between the 5th measurement ({ $first }) and the 6th ({ $second }), 3:00:00 are needed
contract-broken-no-such-time = the clock never showed { $at }: summer time began in this hour
contract-deviation = deviation
contract-no-deviation = no deviation
contract-maximum = 90 % of the maximum rate ({ $stated }) reached on { $count } of { $of } days (needed: 2)
contract-maximum-unknown = Maximum rate: not assessable, the contract states none
contract-normal = normally available rate ({ $stated }) reached in { $count } of { $of } measurements (needed: 27)
contract-normal-unknown = Normally available rate: not assessable, the contract states none
contract-minimum = minimum rate ({ $stated }) undercut on { $count } of { $of } days (a deviation from 2 on)
contract-minimum-unknown = Minimum rate: not assessable, the contract states none
contract-criteria-met = The criteria of the Bundesnetzagentur for a deviation (Vfg 99/2021) would be met.
contract-criteria-not-met-in-part = As far as it can be assessed, the criteria of the Bundesnetzagentur for a deviation (Vfg 99/2021) would not be met; what is not assessable stays open.
contract-criteria-not-met = The criteria of the Bundesnetzagentur for a deviation (Vfg 99/2021) would not be met.
contract-reading = Whether the campaign is valid depends here on a reading: { $reading }
contract-reading-fourteen-days = "within 14 calendar days" counts the first and the last measuring day; read otherwise, 14 days would follow the first.
contract-reading-pauses = pauses count from time stamp to time stamp; read otherwise, they would count from the end of one measurement to the begin of the next.
contract-reading-surplus = a day with more than ten measurements does not count, nor a campaign with more than three days, because whoever chose would favour one side; read otherwise, the first ten of a day would count, and the first three days that have ten.
contract-reading-repeated-hour = a time in the hour that the end of summer time repeats is taken for its first showing; read otherwise, for its second.
contract-readings-together = Each of these readings decides by itself, or only together with others of them.
contract-unchecked = The files do not show whether it was measured by cable, with WLAN off and with no other use of the line.
contract-caveat = Legal note: § 57 (4) TKG speaks of the consumer. Whether a school authority can rely on it is not established here. The result is evidence about the contract, not a statutory right; only the protocol of the desktop app of the Breitbandmessung is accepted.
contract-plan-title = Campaign for { $school }: 30 measurements while no school is held
contract-plan-event = Breitbandmessung { $site }
contract-plan-setup = Measure by cable, with WLAN off, with no other use of the line, with the desktop app of the Breitbandmessung.
contract-plan-holidays-unknown = The school holidays around these days are not known (messnetz calendar import); lessons are assumed during them too.

## School calendar
calendar-weekdays = Mon Tue Wed Thu Fri Sat Sun
calendar-school-day = lessons
calendar-weekend = weekend
calendar-day-off = movable holiday or other day off of the school
calendar-public-holiday = public holiday: { $name }
calendar-holiday = school holidays: { $name }
calendar-clock-forward = clock one hour forward
calendar-clock-back = clock one hour back
calendar-hours = Lesson hours: { $hours } ({ $origin })
calendar-hours-none = Lesson hours: none known
calendar-hours-school = stated by the school
calendar-hours-authority = stated by the authority
calendar-hours-default = project default
calendar-school-days = { $count } school days
calendar-window-hours = { $hours } hours in all
calendar-holidays-unknown = The school holidays around these days are not known, so every weekday counts as a school day: messnetz calendar import reads holidays from a file.
calendar-import-new = new: { $period }
calendar-import-known = known already: { $count }
calendar-import-conflict = contradiction: the file says { $new }, the site file { $old }
calendar-import-written = Entered in { $file }: { $count }
calendar-import-nothing = Nothing entered
calendar-import-dry-run = Dry run: nothing entered

## Explanation
explain-verdict = Verdict: { $verdict }
explain-origin = Where the target comes from
explain-document = It is written in { $document }.
explain-source = "{ $document }" ({ $publisher })
explain-source-of-year = "{ $document }" ({ $publisher }, { $year })
explain-mark-seen = The number was looked up in this document itself.
explain-mark-reported = The document itself was not seen; the number is reported by { $by }.
explain-mark-calculated = The number is calculated from figures of this document.
explain-mark-project = The number is a proposal of this program; no authority has set it.
explain-status-current = The target belongs to "{ $profile }", in force or common today.
explain-status-historic = The target belongs to "{ $profile }", no longer in force, but still often quoted.
explain-status-vendor = The target belongs to "{ $profile }", the recommendation of a manufacturer.
explain-status-project = The target belongs to "{ $profile }", a default of this program.
explain-address = To be read at { $address }
explain-demand = What it demands of this school
explain-demanded = Demanded of the "{ $what }": { $bound }.
explain-demanded-number = Demanded: "{ $what }", that is { $bound }.
explain-demanded-there = Demanded: "{ $what }" has to be there.
explain-demanded-open = It is about the "{ $what }".
explain-rule = The calculation: { $rule }; with the numbers of this school: { $workings }.
explain-rule-open = The calculation: { $rule }; with the numbers of this school that are known: { $workings }.
explain-rule-below = "Depending (a, b, c, d)" means: c where a is smaller than b, otherwise d.
explain-whose-site = The target holds for each site by itself.
explain-whose-authority = The target holds for the authority with all of its schools together.
explain-stated = What is stated
explain-stated-value = What is stated comes to: { $value }. It rests on:
explain-facts-more = and { $more } more, all of which "--json" shows
explain-not-stated = Nobody has stated anything about it (in the site file: { $item }, or the facts that it follows from).
explain-not-stated-by-all = Not all schools have stated something about it (in the site file: { $item }, or the facts that it follows from).
explain-collect = "messnetz sites template --out inventory.xlsx" writes a sheet to collect it with.
explain-follows = What follows
explain-stated-met = What is stated is enough. So the target is met.
explain-stated-missed = What is stated is not enough. So the target is missed.
explain-not-stated-list = About { $count ->
    [one] one more target
   *[other] { $count } more targets
} that no measurement can find out nobody has stated anything:
explain-cap = The target never demands more than { $cap } ({ $origin }).
explain-tolerance = So it is enough to measure { $bound }, an allowance of { $share }%; the full reason is shown by "messnetz targets explain { $school } --sites SITEFILE".
explain-layers = The demanded value is { $demanded }; measured is { $measured }, which is a little less.
explain-contract-enough = The contract of the line promises { $contract }; that is enough for the target.
explain-contract-small = The contract of the line promises { $contract }; that is too little for the target.
explain-exception = The school is exempt from this target until { $until }, decided by: { $by }. Reason: { $reason }. The verdict stays what it is.
explain-exception-expired = The school's exemption from this target ({ $by }: { $reason }) expired on { $until }.
explain-part-line = { $quantity } of the internet line
explain-part-lan = { $quantity } in the school's own network (LAN)
explain-part-wlan = { $quantity } in the Wi-Fi
explain-part-service = { $quantity } of the online services
explain-part-agent = { $quantity } of the measuring box
explain-at-least = at least { $value }
explain-below = below { $value }
explain-at-most = at most { $value }
meaning-down = That is how much data can arrive at the school each second.
meaning-up = That is how much data can leave the school each second.
meaning-rtt = That is the time a signal takes there and back; where it is long, every conversation falters.
meaning-added-delay = That is how much longer everything else takes while somebody fills the line; where it is long, one download spoils every conversation.
meaning-responsiveness = That is how many round trips a minute fit through the line while somebody fills it: below 300 nothing that is spoken or shown live works beside it.
meaning-jitter = That is how much the time on the way varies; where it varies much, sound and picture drop out.
meaning-loss = That is the part of the data that is lost on the way; where much is lost, sound and picture drop out.
meaning-dns = That is the time in which the address of a name such as www.example.org is found.
meaning-tls = That is the time in which an encrypted connection is agreed on.
meaning-snr = That is how far the radio signal stands out from the noise; the more, the better.
meaning-utilisation = That is the part of the time in which the radio channel is taken.
explain-layer-contract = a nominal rate, as contracts state it
explain-layer-ip = all that runs over the line
explain-layer-payload = what arrives as usable data
formula-min = smallest of{" "}
formula-max = largest of{" "}
formula-below = depending{" "}
fact-classes = classes
fact-pupils = pupils
fact-teachers = teachers
fact-staff = staff
fact-users = pupils and staff
fact-rooms-teaching = classrooms
fact-devices = devices
fact-authority-pupils = pupils of all schools of the authority
fact-authority-staff = staff of all schools of the authority
fact-authority-users = pupils and staff of all schools of the authority
explain-measured = What was measured
explain-months = January February March April May June July August September October November December
explain-school-year = school year { $years }
explain-closed = Period: { $period }. It is over, and the verdict is final.
explain-provisional = Period: { $period }. It is still running, and the verdict is provisional and may change.
explain-window-any = Measurements count around the clock.
explain-window-lessons = Only what was measured during lessons counts.
explain-window-off = Only what was measured outside lessons counts.
explain-window-own = Only what was measured in the authority's time window "{ $window }" counts.
explain-no-samples = There is not a single measured value.
explain-samples = { $count ->
        [one] one measurement
       *[other] { $count } measurements
    }
explain-on-days = { $count ->
        [one] on one day
       *[other] on { $count } days
    }
explain-count = There are { $count }.
explain-rolled-up = { $rolled ->
        [one] One of them is
       *[other] { $rolled } of them are
    } out of hourly roll-ups of samples that are kept no more: each value is within 1/256 of what was measured, and only hours that lie in the window as a whole count.
explain-failures = { $failures ->
        [one] One further attempt brought no value; it does
       *[other] { $failures } further attempts brought no value; they do
    } not count as a bad result.
explain-median = Compared is the middle value: half of the measurements are at least as good, half at most as good.
explain-reached = Compared is the value that { $percent }% of the measurements reach or surpass.
explain-not-exceeded = Compared is the value that { $percent }% of the measurements do not exceed.
explain-reached-on-days = Compared is the value that the best measurement of the day reaches or surpasses on { $percent }% of the days.
explain-not-exceeded-on-days = Compared is the value that the best measurement of the day does not exceed on { $percent }% of the days.
explain-statistic-project = This way of comparing is the choice of this program, not of the source.
explain-observed = The value that is held against the target is { $observed }.
explain-days-reached = What is demanded was reached on { $reached } of { $of } days.
explain-ceiling = The measuring box is plugged into a port of { $port } and can show { $ceiling } at most.
explain-ceiling-of-box = The measuring box itself can show { $ceiling } at most, as much as it carried in its self-test.
explain-disturbed = During { $disturbed } of { $of } tests ({ $share }%) others used the measuring box's port as well; these tests count too.
explain-undisturbed = Nobody else used the measuring box's port during the tests.
explain-running = Beside it runs { $period }: so far { $verdict } (provisional; { $count }).
explain-certain = What is certain
explain-between = With { $percent }% confidence the true value is not below { $lower }, and with as much confidence not above { $upper }.
explain-not-below = With { $percent }% confidence the true value is not below { $lower }; how high it can be, so few measurements leave open.
explain-not-above = With { $percent }% confidence the true value is not above { $upper }; how low it can be, so few measurements leave open.
explain-anywhere = Where the true value lies cannot be told with { $percent }% confidence from so few measurements.
explain-met = Even the least favourable value to be reckoned with is good enough (needed: { $bound }). So the target is met.
explain-missed = Even the most favourable value to be reckoned with is not good enough (needed: { $bound }). So the target is missed.
explain-straddles = So the true value may be good enough or not (needed: { $bound }), and the target is neither met nor missed.
explain-too-few = A verdict needs at least { $need } measurements; there are { $have }.
explain-too-few-days = A verdict needs measurements on at least { $need } days; there are some on { $have }.
explain-more-days = { $days ->
        [one] One more day of measuring
       *[other] { $days } more days of measuring
    } could decide it at the earliest.
explain-more-samples = { $samples ->
        [one] One more measurement
       *[other] { $samples } more measurements
    } could decide it at the earliest.
explain-never = Even many more measurements would not decide it in the foreseeable future.
explain-no-verdict = There is no verdict: { $why }.
explain-nothing = Without measurements nothing can be said. Whether a measuring box is enrolled for this school is shown by "messnetz collector agents".
explain-missing-fact = There is no verdict: for this school nobody has stated "{ $fact }" (in the site file: { $key }), and nothing is guessed.
explain-strict = Without the allowance for measuring the verdict would be: { $verdict }.
explain-why = Why
explain-why-unknown = Which part of the way is to blame cannot be told yet. To be found out next: { $next }.
explain-mend = What would help
explain-mend-nothing = The catalogue has no upgrade for this cause.
explain-mend-unknown = As long as the cause is not known, nothing is recommended.
explain-upgrade = { $title }: once { $once }, monthly { $monthly } (prices as of { $day }).
explain-price-none = nothing
explain-price-yours = to be quoted
explain-price-source = Prices after { $source }.
explain-singles = The single measurements
explain-worst = The { $shown } least favourable of { $of }, by the local clock ({ $zone }):
explain-all = All of them are printed by the command:
explain-single-disturbed = others used the same port
explain-no-targets = No target that is measured is set for this school.

## Lists of schools and sheets of facts
roster-at-line = line { $line }
roster-at-row = row { $line }
roster-at-record = record { $line }
roster-too-many-rows = more than { $most } rows: the rest is not read
roster-quote-open = a quote is never closed: is the list cut off here?
roster-cell-too-long = a cell is longer than any value: is a quote never closed?
roster-columns = has { $has } of { $needs } columns: is the list cut off here, or a quote missing?
roster-no-record = the record is no object
roster-no-characters = holds bytes that are no characters of the list's code page
roster-wrong-code-page = letters such as "Ã¤" show that the list was saved in the wrong code page
roster-no-number = the school has no number
roster-no-state = the number `{ $number }` says no state: give one (--state NW, or state = "NW" in the mapping)
roster-not-so-many-digits = `{ $number }` is no number of { $digits } digits
roster-no-school-number = `{ $number }` is no school number (letters, digits, hyphens)
roster-no-name = the school has no name
roster-name-too-long = the name is longer than { $most } characters
roster-no-site = `{ $text }` names no site: letters or digits are needed
roster-no-count = `{ $text }` is no count ({ $fact })
roster-count-too-large = { $text } ({ $fact }) are more than any school has (at most { $most })
roster-no-place = `{ $north } { $east }` is no place; the school is kept without coordinates
roster-school-twice = the school { $school } already stands in { $first }; rows of one school are its sites where the mapping names the column that tells them apart ([columns] site = "…")
roster-site-twice = the site { $site } already stands in { $first }
roster-contradiction = { $school }, { $field }: `{ $says }` here, `{ $has }` in { $first }; what stands first counts
roster-sum-too-large = the { $sites } sites of { $school } have { $sum } together ({ $fact }), more than any school (at most { $most }): the school is kept without them
roster-same-pupils = each of the { $sites } sites of { $school } states { $pupils } pupils: if they are those of the whole school, the mapping needs pupils = "{ $column }" in place of site_pupils
roster-far-away = { $school } ({ $municipality }): { $at } lies { $km } km from the other schools there; the school is kept without coordinates
sheet-no-school-named = the row names no school
sheet-no-origin = says who states the fact, in 1 to 200 characters
sheet-no-day = `{ $text }` is no day (31.12.2025 or 2025-12-31)
sheet-no-device-kind = `{ $text }` is none of { $known }
sheet-no-device-count = `{ $text }` is no count up to { $most }
sheet-no-year = `{ $text }` is no year of purchase
sheet-no-fact-value = `{ $text }`: what is needed is { $accepted }
sheet-unknown-fact = `{ $text }` is no fact of the template
sheet-unknown-fact-meant = `{ $text }` is no fact of the template; did you mean `{ $meant }`?
sheet-several-schools = several states have a school { $school }
sheet-unknown-school = the site file has no school `{ $school }`
sheet-unknown-site = the school has no site `{ $site }`
sheet-accepts-count = a whole number up to { $most }
sheet-accepts-number = a number from 0 to { $most }
sheet-accepts-yes-no = ja or nein
sheet-accepts-cabling = Cat 5, Cat 5e, Cat 6, Cat 6A, Cat 7, Cat 8 or Glasfaser
roster-list-own = list of its own form
school-form-primary = primary
school-form-secondary = secondary
school-form-grammar = grammar
school-form-comprehensive = comprehensive
school-form-special = special
school-form-vocational = vocational
school-form-adult-education = adult education
school-form-other = other
roster-field-name = name
roster-field-form = form
roster-field-land-form = the Land's form
roster-field-municipality = municipality
roster-field-municipality-key = key of the municipality
roster-field-authority-number = number of the authority
roster-field-street = street
roster-field-postcode = postal code
roster-field-place = town
roster-field-coordinates = coordinates
roster-field-pupils = pupils
roster-rows = { $rows } rows
roster-schools = schools    { $schools }; left out by rule: { $closed } not in operation, { $noschool } no schools
roster-schools-and-sites = schools    { $schools } with { $sites } sites; left out by rule: { $closed } not in operation, { $noschool } no schools
roster-asked-for = asked for  { $count }
roster-to-look-at = to look at { $rows } rows refused, { $values } values refused, { $doubted } values doubted; { $forms } forms not stated and read from name or number
roster-columns-taken-for = What the columns were taken for (--save-mapping FILE, correct it, --mapping FILE):
roster-authorities = authorities of the list: { $words }
roster-municipalities = municipalities of the list: { $words }
roster-forms = forms of the list: { $words }
roster-merged = Against { $file }: { $new } schools new, { $newsites } sites of known schools new, { $changed } values changed, { $kept } kept as entered by hand, { $gone } schools gone, { $gonesites } sites gone, { $unchanged } schools unchanged
roster-stays = { $was } stays, the list says { $list }
roster-gone = not in the list; it stays in the file
roster-gone-closed = not in operation after the list; it stays in the file
roster-gone-no-school = no school after the list; it stays in the file
roster-nothing = nothing
roster-more = … and { $more } more (--json lists all)
roster-up-to-date = { $file } is up to date.
roster-written = Written: { $file }
roster-not-written = Nothing is written.
roster-not-written-no-file = Nothing is written: a site file is named with --into.
sheet-read = { $file }: { $rows } rows, { $examples } examples skipped, { $facts } facts, { $findings } rows not understood
sheet-entered = Against { $file }: { $entered } facts entered, { $kept } kept because the file has them newer, { $unchanged } unchanged
sheet-stays = { $was } stays, the sheet says { $sheet }
export-written = { $file }: { $schools } schools, { $sites } sites; { $without } sites have no coordinates
