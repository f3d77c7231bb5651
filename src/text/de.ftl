# Was das Programm auf Deutsch sagt. Ein Schlüssel je Satz; src/words.rs füllt die Lücken.

## Urteile
verdict-met = erfüllt
verdict-missed = nicht erfüllt
verdict-undecided = unentschieden
verdict-no-data = keine Daten

undecided-too-few = { $have } von { $need } Messwerten
undecided-too-few-days = Messwerte an { $have } von { $need } Tagen
undecided-straddles = das Intervall enthält den Schwellenwert
undecided-more-days = zur Entscheidung fehlen mindestens { $days } Messtage
undecided-more = zur Entscheidung fehlen mindestens { $more } Messwerte
undecided-for-long = keine absehbare Zahl von Messwerten könnte entscheiden
undecided-port = der Anschluss des Messgeräts ({ $port }) trägt höchstens { $ceiling }, zu sehen sein müssten { $needed }
undecided-box = das Messgerät selbst trägt höchstens { $ceiling }, zu sehen sein müssten { $needed }
no-data-no-samples = nichts gemessen
no-data-no-samples-in-window = { $window } nichts gemessen
no-data-only-failures = alle { $failures } Messungen schlugen fehl
no-data-not-assessable = kein Schwellenwert: { $because }
no-data-inventory-not-stated = Bestand nicht angegeben ({ $item })
no-data-service-not-stated = die Standortdatei nennt keinen Dienst { $service }
exception-holds = Ausnahme bis { $until } ({ $by }): { $reason }
exception-expired = Ausnahme abgelaufen am { $until } ({ $by }): { $reason }
no-data-wrong-unit = gemessen in { $found }, verlangt in { $expected }

threshold-tolerated = { $strict } (gemessen { $tolerated })
threshold-capped = { $workings }, begrenzt auf { $cap }
contract-satisfies = Vertrag { $contract }: genügt
contract-too-small = Vertrag { $contract }: zu klein

statistic-median = Median
statistic-percentile = { $percent }. Perzentil
statistic-share-of-days = bester Wert an { $percent } % der Tage
layers = gemessen als { $measured }, gefordert als { $threshold }
not-assessable-missing-fact = die Angabe „{ $fact }“ der Schule fehlt
not-assessable-division = die Formel teilt durch null
not-assessable-range = die Formel ergibt keinen brauchbaren Schwellenwert

## Fehlschläge
failure-timeout = keine Antwort in der Zeit
failure-refused = abgewiesen
failure-unreachable = nicht erreichbar
failure-name-resolution = der Name hat keine Adresse
failure-tls = die gesicherte Verbindung kam nicht zustande
failure-protocol = die Antwort war nicht, wie sie sein soll
failure-permission = auf diesem Gerät nicht erlaubt
failure-interface = der Anschluss fehlt oder ist aus
failure-busy = die Gegenstelle war beschäftigt
failure-budget = ausgelassen, um das Budget der Leitung einzuhalten

## Ziele
targets-list-heading = Profil, Land, Status, Ziele (gemessen + aus dem Bestand), Titel:
targets-valid-from = gültig ab
targets-valid-to = gültig bis
targets-extends = übernimmt
targets-cap = höchstens
targets-threshold = Schwelle
targets-tolerated = toleriert
targets-inventory = Bestand (keine Messung kann ihn feststellen)
window-lesson-hours = in der Unterrichtszeit
window-off-lesson = außerhalb des Unterrichts
window-own = im Zeitfenster „{ $name }“
stated-there = vorhanden
stated-not-there = nicht vorhanden
stated-fact = { $fact } = { $value }, Stand { $on }, { $from }
stated-facts = { $count } Angaben, die älteste vom { $on }
stated-open = In { $count ->
    [one] einem Fall
   *[other] { $count } Fällen
} (Ziel und Schule) hat niemand etwas zum Bestand angegeben: keine Daten. Einen Bogen zum Erheben schreibt „messnetz sites template --out bestand.xlsx“, „messnetz sites inventory“ trägt ihn ein.
status-current = aktuell
status-historic = historisch
status-vendor = Hersteller
status-project = Projekt
mark-seen = in der Quelle gesehen
mark-reported = berichtet von { $by }
mark-calculated = berechnet
mark-project = Vorgabe des Projekts

## Ebenen
layer-contract = Vertrag
layer-ip = IP
layer-tcp-payload = TCP-Nutzlast

## Größen
quantity-down = Downloadrate
quantity-up = Uploadrate
quantity-link-speed = Anschlussgeschwindigkeit
quantity-own-speed = eigene Höchstgeschwindigkeit des Anschlusses
quantity-peer-speed = Höchstgeschwindigkeit der Gegenstelle am Kabel
quantity-half-duplex = Halbduplex
quantity-frame-errors = defekte Rahmen
quantity-other-traffic = fremder Verkehr während der Tests
quantity-cpu = Rechenzeit des Messgeräts
quantity-busiest-core = Auslastung des meistbeschäftigten Prozessorkerns
quantity-ceiling = was das Messgerät selbst trägt
quantity-rtt = Umlaufzeit
quantity-rtt-idle = Umlaufzeit vor einem Lasttest
quantity-rtt-loaded-down = Umlaufzeit während eines Downloads
quantity-rtt-loaded-up = Umlaufzeit während eines Uploads
quantity-added-delay-down = Verzögerung durch einen Download
quantity-added-delay-up = Verzögerung durch einen Upload
quantity-responsiveness-down = Reaktionsfähigkeit während eines Downloads
quantity-responsiveness-up = Reaktionsfähigkeit während eines Uploads
quantity-jitter = Jitter
quantity-loss = Paketverlust
quantity-loss-down = Paketverlust zur Schule
quantity-loss-up = Paketverlust von der Schule
quantity-dns = Antwortzeit des Namensservers
quantity-connect = Verbindungszeit
quantity-tls = TLS-Aufbauzeit
quantity-first-byte = Zeit bis zum ersten Byte
quantity-http = Ladezeit der Seite
quantity-reachable = Erreichbarkeit
quantity-rssi = Signalstärke am Messpunkt
quantity-snr = Signal-Rausch-Abstand am Messpunkt
quantity-utilisation = Kanalauslastung

## Ursachen
cause-contract-too-small = Leitung: der Vertrag über { $contract } liegt unter { $needed }
cause-contract-exhausted = Leitung: von { $contract } kommen { $measured } an, der Vertrag ist damit erfüllt; gebraucht werden { $needed }
cause-line-under-delivers = Leitung: von { $contract } kommen { $measured } an, sie verliert { $loss }
cause-provider-under-delivers = Anbieter: von { $contract } kommen { $measured } an, LAN und Leitung sind sauber
cause-switch-port-slow = Switch-Port: er bietet { $port }, das Messgerät kann { $own }
cause-switch-port-cable = Kabel am Switch-Port: beide Enden können { $own }, ausgehandelt sind { $port }
cause-switch-port-half-duplex = Switch-Port: Halbduplex
cause-switch-port-broken-frames = Switch-Port oder Kabel: { $share } der Rahmen kommen defekt an
cause-access-point = Access Point: { $quantity } { $measured }{ $evidence }
cause-access-point-lan = , im LAN zur selben Zeit { $lan }
cause-agent = Messgerät: { $quantity } { $measured }, es konnte nicht mehr
cause-far-end = Gegenstelle: { $quantity } { $measured }, zur selben Zeit gegen { $other } { $against_other }
cause-line-quality = Leitung: { $quantity } { $measured }, Grenze { $limit }
cause-lan = LAN: { $quantity } { $measured }, Grenze { $limit }
cause-agent-port = Messgerät: sein Anschluss mit { $port } ist zu klein für eine Aussage
cause-service = Dienst: { $quantity } { $measured }, die Leitung dorthin ist sauber
cause-undecidable = nicht entscheidbar; als Nächstes klären: { $next }
unknown-contract = was der Vertrag zusagt
unknown-quiet-port = { $quantity } ({ $metric }), während sonst niemand den Anschluss des Messgeräts nutzt

## Tabelle und Seite
table-title = Soll-Ist-Vergleich
table-school = Schule
table-target = Soll
table-verdict = Urteil
table-observed = Ist
table-threshold = Schwelle
table-samples = n (Tage)
table-period = Zeitraum
period-closed = { $period } (abgeschlossen)
period-provisional = { $period } (vorläufig)
table-cause = Ursache oder Grund
table-contract = Vertrag
table-source = Quelle
table-stated-title = Bestand: Ziele, die keine Messung feststellen kann
table-stated = Angabe
table-demanded = Verlangt
table-as-of = Stand und Herkunft
table-remark = Anmerkung
table-authority = Träger insgesamt
shortened = Verkürzte Beweislage ({ $why }): kein Urteil, auf das sich ein Beschluss stützen darf.
recommendations = Empfohlene Maßnahmen
recommendations-none = Kein Ziel ist aus bekannter Ursache verfehlt: nichts zu empfehlen.
recommendation-upgrade = Maßnahme
recommendation-once = Einmalig
recommendation-monthly = Monatlich
recommendation-because = Weil
recommendation-reason = { $target }: { $observed } gegen { $threshold } (n = { $samples }). { $cause }
price-yours = Ihr Preis
dashboard-title = Messnetz: { $authority }
dashboard-lead = { $met } erfüllt, { $missed } nicht erfüllt, { $undecided } unentschieden, { $none } ohne Daten.
dashboard-lead-stated = Bestand: { $met } erfüllt, { $missed } nicht erfüllt, { $none } ohne Daten.
dashboard-as-of = Stand { $time } UTC; Messwerte der letzten { $days } Tage.
dashboard-overview = Komplettübersicht
dashboard-coverage = Zielerreichung
dashboard-throughput = Gemessener gegen geforderten Download
dashboard-stated-chart = Bestand, vom Träger angegeben
dashboard-table-below = Die Tabelle darunter sagt dasselbe in Worten.
dashboard-language = English
statistic = { $statistic } aus { $samples } an { $days ->
    [one] einem Tag
   *[other] { $days } Tagen
}
legend-note = ✔ erfüllt, ✘ nicht erfüllt, ? unentschieden, – keine Daten. Wo eine Rate als Vertrag gefordert und als TCP-Nutzlast gemessen wird, steht der tolerierte Wert in Klammern. Urteile über abgeschlossene Zeiträume sind endgültig, vorläufige können sich noch ändern.

## Agents
agents-title = Messboxen
agents-none = Noch ist keine Messbox angemeldet.
agents-agent = Messbox
agents-state = Zustand
agents-line = Leitung, vom Sammler aus
agents-batches = Lieferungen
agents-numbers = Lücken und Verspätetes
agents-note = Eine stumme Messbox ist kein Ausfall der Leitung: Was nicht gemessen wurde, ist „keine Daten“. Lücken sind Nummern, die nie kamen; welche es sind, sagt `messnetz collector gaps`. Verspätet ist, was mehr als einen Tag nach seiner Messung kam.
agent-live = meldet sich
agent-at-risk = gefährdet
agent-lost = verloren
agent-never = meldete sich nie
agent-received = zuletzt { $time } UTC
line-answers = Messbox stumm, Leitung antwortet ({ $time } UTC)
line-silent = Messbox stumm, Leitung antwortet nicht ({ $time } UTC)
line-not-available = Sicht des Sammlers nicht verfügbar: { $why }
line-not-stated = keine Adresse der Leitung angegeben
line-not-asked = in letzter Zeit nicht gefragt
agent-gaps = { $gaps ->
    [one] eine Lücke
   *[other] { $gaps } Lücken
} ({ $missing } Lieferungen fehlen)
agent-beside = { $epochs ->
    [one] eine Zählung
   *[other] { $epochs } Zählungen
} neben einer späteren
agent-late = { $batches } verspätet
agent-behind = { $batches } davon rückdatiert oder bei zurückgestellter Uhr gemessen
reopened = wieder geöffnet: { $samples } Messwerte kamen nach Abschluss, zuletzt { $time } UTC
reopened-behind = { $samples } davon älter als das, was die Messbox vorher lieferte

## Audit
audit-title = Audit von { $school }
audit-is-snapshot = Eine Momentaufnahme: sie sagt heute darüber oder darunter, nie erfüllt oder nicht erfüllt.
visit-head = { $school } ({ $site }), { $began } UTC: { $count } Beobachtungen, signiert von { $agent }
series-none = Für diesen Standort ist nichts gespeichert.
series-metric = Messgröße
series-peer = Gegenstelle
series-interface = Schnittstelle
series-values = Werte
series-failures = Fehlversuche
series-pruned = Stundenwerte
series-first = von
series-last = bis
series-values-from = kleinster
series-values-to = größter
visits-title = Besuche der letzten drei Monate
visits-none = Für diese Tage wurde kein Audit eingereicht.
chains-title = Enden der Beweisketten
table-site = Standort
chains-end = letzte Lieferung
chains-hash = Hash
chains-note = Wer diese Hashes aufbewahrt, kann mit „messnetz collector store check --against“ beweisen, dass bis hierher keine Lieferung abgeschnitten oder ausgetauscht wurde.
audit-above = heute darüber
audit-below = heute darunter
audit-favourable = gut
audit-unfavourable = nicht gut
audit-not-measured = nicht gemessen
audit-segment-wlan = WLAN
audit-segment-lan = LAN
audit-segment-line = Leitung
audit-segment-service = Dienste
audit-segment-agent = Messgerät
audit-gateway-answers = das Gateway antwortet
audit-gateway-silent = das Gateway antwortet nicht
audit-gateway-unknown = es gibt kein Gateway, das gefragt werden könnte
audit-over-wlan = über WLAN gemessen: das sagt nichts über Kabel und Leitung; dafür ein Kabel verwenden
audit-interrupted = der Besuch wurde vorzeitig beendet; dies wurde bis dahin gemessen
audit-saved = gespeichert: { $path }
audit-interface = eigener Anschluss { $interface } ({ $medium }): { $speed }, { $duplex }, { $errors } Fehler
audit-speed-unknown = Geschwindigkeit nennt der Treiber nicht
audit-duplex-full = Vollduplex
audit-duplex-half = Halbduplex
audit-duplex-unknown = Duplex nennt der Treiber nicht
audit-medium-wired = Kabel
audit-medium-wlan = WLAN
audit-medium-unknown = Medium unbekannt
audit-no-route = keine Standardroute: dieses Gerät ist in keinem Netz, das irgendwohin führt
audit-against = gegen { $peer }

## Verlauf und Takt
trend-schools = Schulen am Ziel
trend-of = { $met } von { $schools } ({ $share } %)
trend-rolled-up = Messungen bis { $month } sind nicht oder nicht alle mehr aufbewahrt: diese Monate beruhen auf Stundenwerten, jeder höchstens 1/256 neben dem gemessenen.
trend-rate = Änderung je Monat
trend-outlook = Aussicht
trend-slope = { $median } ({ $lower } bis { $upper })
trend-slope-open = { $median } (zu wenige Monate für ein Intervall)
trend-none = kein Verlauf erkennbar
trend-stays = bleibt auf seiner Seite der Schwelle
trend-missed-from = bei diesem Verlauf ab { $month } verfehlt
trend-met-from = bei diesem Verlauf ab { $month } erreicht
pace-metric = Messgröße
pace-samples = Messwerte je Tag
pace-met = Tage bis „erfüllt“
pace-missed = Tage bis „nicht erfüllt“

## Vertragsprüfung
contract-title = Vertragsprüfung { $site }: { $product } ({ $provider })
contract-repeated = { $count } Messungen standen mehrfach in den Dateien und zählen einmal.
contract-valid = Die Messkampagne ist gültig: 30 Messungen an 3 Kalendertagen.
contract-invalid = Die Messkampagne ist ungültig; aus ihr folgt nichts. Verletzte Regeln:
contract-broken-days = { $have } Messtage statt 3
contract-broken-per-day = { $day }: { $have } Messungen statt 10
contract-broken-no-day-between = zwischen { $first } und { $second } liegt kein Kalendertag
contract-broken-too-long = { $first } bis { $last } sind { $days } Kalendertage, erlaubt sind 14
contract-broken-too-soon = zwischen { $first } und { $second } liegen { $pause }, nötig sind 0:05:00
contract-broken-no-long-break = zwischen der 5. Messung ({ $first }) und der 6. ({ $second }) liegen { $pause }, nötig sind 3:00:00
contract-broken-no-such-time = { $at } hat die Uhr nie gezeigt: in dieser Stunde begann die Sommerzeit
contract-deviation = Abweichung
contract-no-deviation = keine Abweichung
contract-maximum = 90 % der maximalen Rate ({ $stated }) an { $count } von { $of } Tagen erreicht (nötig: 2)
contract-maximum-unknown = Maximale Rate: nicht beurteilbar, der Vertrag nennt keine
contract-normal = normalerweise verfügbare Rate ({ $stated }) in { $count } von { $of } Messungen erreicht (nötig: 27)
contract-normal-unknown = Normalerweise verfügbare Rate: nicht beurteilbar, der Vertrag nennt keine
contract-minimum = minimale Rate ({ $stated }) an { $count } von { $of } Tagen unterschritten (Abweichung ab 2)
contract-minimum-unknown = Minimale Rate: nicht beurteilbar, der Vertrag nennt keine
contract-criteria-met = Die Kriterien der Bundesnetzagentur für eine Abweichung (Vfg 99/2021) wären erfüllt.
contract-criteria-not-met-in-part = Soweit beurteilbar, wären die Kriterien der Bundesnetzagentur für eine Abweichung (Vfg 99/2021) nicht erfüllt; was nicht beurteilbar ist, bleibt offen.
contract-criteria-not-met = Die Kriterien der Bundesnetzagentur für eine Abweichung (Vfg 99/2021) wären nicht erfüllt.
contract-reading = Ob die Kampagne gültig ist, hängt hier an einer Lesart: { $reading }
contract-reading-fourteen-days = „innerhalb von 14 Kalendertagen“ zählt den ersten und den letzten Messtag mit; anders gelesen folgten dem ersten noch 14 Tage.
contract-reading-pauses = Abstände zählen von Zeitstempel zu Zeitstempel; anders gelesen zählten sie vom Ende einer Messung bis zum Beginn der nächsten.
contract-reading-surplus = ein Tag mit mehr als zehn Messungen zählt nicht und eine Kampagne mit mehr als drei Tagen auch nicht, denn wer auswählte, bevorzugte eine Seite; anders gelesen zählten die ersten zehn des Tages und die ersten drei Tage mit zehn.
contract-reading-repeated-hour = eine Uhrzeit der doppelten Stunde am Ende der Sommerzeit gilt für ihr erstes Mal; anders gelesen gälte sie für ihr zweites.
contract-readings-together = Jede der genannten Lesarten entscheidet für sich oder erst zusammen mit anderen von ihnen.
contract-unchecked = Aus den Dateien nicht zu sehen: ob am Kabel, mit WLAN aus und ohne andere Nutzung gemessen wurde.
contract-caveat = Rechtlicher Hinweis: § 57 Abs. 4 TKG spricht vom Verbraucher. Ob sich ein Schulträger darauf berufen kann, ist hier nicht festgestellt. Das Ergebnis ist ein Beleg zum Vertrag, kein gesetzlicher Anspruch; anerkannt wird nur das Protokoll der Desktop-App der Breitbandmessung.
contract-plan-title = Messkampagne für { $school }: 30 Messungen außerhalb des Schulbetriebs
contract-plan-event = Breitbandmessung { $site }
contract-plan-setup = Am Kabel messen, WLAN aus, keine andere Nutzung der Leitung, mit der Desktop-App der Breitbandmessung.
contract-plan-holidays-unknown = Die Schulferien um diese Tage sind nicht bekannt (messnetz calendar import); Unterricht ist darum auch in den Ferien angenommen.

## Schulkalender
calendar-weekdays = Mo Di Mi Do Fr Sa So
calendar-school-day = Unterricht
calendar-weekend = Wochenende
calendar-day-off = beweglicher Ferientag oder anderer freier Tag der Schule
calendar-public-holiday = Feiertag: { $name }
calendar-holiday = Ferien: { $name }
calendar-clock-forward = Uhr eine Stunde vor
calendar-clock-back = Uhr eine Stunde zurück
calendar-hours = Unterrichtszeit: { $hours } ({ $origin })
calendar-hours-none = Unterrichtszeit: keine bekannt
calendar-hours-school = Angabe der Schule
calendar-hours-authority = Angabe des Schulträgers
calendar-hours-default = Vorgabe des Projekts
calendar-school-days = { $count } Unterrichtstage
calendar-window-hours = Zusammen { $hours } Stunden
calendar-holidays-unknown = Die Schulferien um diese Tage sind nicht bekannt, darum gilt jeder Werktag als Unterrichtstag: messnetz calendar import liest Ferien aus einer Datei.
calendar-import-new = neu: { $period }
calendar-import-known = schon bekannt: { $count }
calendar-import-conflict = Widerspruch: die Datei nennt { $new }, die Standortdatei { $old }
calendar-import-written = Eingetragen in { $file }: { $count }
calendar-import-nothing = Nichts eingetragen
calendar-import-dry-run = Probelauf: nichts eingetragen

## Erklärung
explain-verdict = Urteil: { $verdict }
explain-origin = Woher das Ziel kommt
explain-document = Festgehalten ist es in { $document }.
explain-source = „{ $document }“ ({ $publisher })
explain-source-of-year = „{ $document }“ ({ $publisher }, { $year })
explain-mark-seen = Die Zahl wurde in diesem Dokument selbst nachgelesen.
explain-mark-reported = Das Dokument selbst lag nicht vor; die Zahl berichtet { $by }.
explain-mark-calculated = Die Zahl ist aus Angaben dieses Dokuments berechnet.
explain-mark-project = Die Zahl ist ein Vorschlag dieses Programms; keine Behörde hat sie festgelegt.
explain-status-current = Das Ziel gehört zu „{ $profile }“, heute gültig oder üblich.
explain-status-historic = Das Ziel gehört zu „{ $profile }“, nicht mehr in Kraft, aber noch oft zitiert.
explain-status-vendor = Das Ziel gehört zu „{ $profile }“, der Empfehlung eines Herstellers.
explain-status-project = Das Ziel gehört zu „{ $profile }“, einer Vorgabe dieses Programms.
explain-address = Nachzulesen unter { $address }
explain-demand = Was es von dieser Schule verlangt
explain-demanded = Verlangt ist für die Größe „{ $what }“: { $bound }.
explain-demanded-number = Verlangt ist: „{ $what }“, also { $bound }.
explain-demanded-there = Verlangt ist: „{ $what }“ muss vorhanden sein.
explain-demanded-open = Es geht um die Größe „{ $what }“.
explain-rule = Die Rechnung: { $rule }; mit den Zahlen dieser Schule: { $workings }.
explain-rule-open = Die Rechnung: { $rule }; mit den bekannten Zahlen dieser Schule: { $workings }.
explain-rule-below = „Je nachdem (a; b; c; d)“ heißt: c, wenn a kleiner ist als b, sonst d.
explain-whose-site = Das Ziel gilt für jeden Standort einzeln.
explain-whose-authority = Das Ziel gilt für den Träger mit allen seinen Schulen zusammen.
explain-stated = Was angegeben ist
explain-stated-value = Die Angaben ergeben: { $value }. Sie beruhen auf:
explain-facts-more = und { $more } weitere, die „--json“ alle zeigt
explain-not-stated = Niemand hat dazu etwas angegeben (in der Standortdatei: { $item }, oder die Angaben, aus denen es sich ergibt).
explain-not-stated-by-all = Nicht alle Schulen haben dazu etwas angegeben (in der Standortdatei: { $item }, oder die Angaben, aus denen es sich ergibt).
explain-collect = Einen Bogen zum Erheben schreibt „messnetz sites template --out bestand.xlsx“.
explain-follows = Was daraus folgt
explain-stated-met = Was angegeben ist, genügt. Darum ist das Ziel erfüllt.
explain-stated-missed = Was angegeben ist, genügt nicht. Darum ist das Ziel nicht erfüllt.
explain-not-stated-list = Zu { $count ->
    [one] einem weiteren Ziel, das
   *[other] { $count } weiteren Zielen, die
} keine Messung feststellen kann, hat niemand etwas angegeben:
explain-cap = Mehr als { $cap } verlangt das Ziel nie ({ $origin }).
explain-tolerance = Darum genügt gemessen { $bound }, ein Abschlag von { $share } %; die Begründung im Wortlaut zeigt „messnetz targets explain { $school } --sites STANDORTDATEI“.
explain-layers = Der verlangte Wert ist { $demanded }; gemessen wird aber { $measured }, und das ist etwas weniger.
explain-contract-enough = Der Vertrag der Leitung verspricht { $contract }; das genügt dem Ziel.
explain-contract-small = Der Vertrag der Leitung verspricht { $contract }; das ist zu wenig für das Ziel.
explain-exception = Die Schule ist bis { $until } von diesem Ziel ausgenommen, so entschieden von: { $by }. Begründung: { $reason }. Das Urteil bleibt, was es ist.
explain-exception-expired = Die Ausnahme der Schule von diesem Ziel ({ $by }: { $reason }) ist am { $until } abgelaufen.
explain-part-line = { $quantity } der Internetleitung
explain-part-lan = { $quantity } im Hausnetz der Schule (LAN)
explain-part-wlan = { $quantity } im WLAN
explain-part-service = { $quantity } der Online-Dienste
explain-part-agent = { $quantity } des Messgeräts
explain-at-least = mindestens { $value }
explain-below = unter { $value }
explain-at-most = höchstens { $value }
meaning-down = Das ist die Menge an Daten, die in jeder Sekunde in der Schule ankommen kann.
meaning-up = Das ist die Menge an Daten, die in jeder Sekunde aus der Schule hinausgehen kann.
meaning-rtt = Das ist die Zeit, die ein Signal hin und zurück braucht; ist sie lang, stockt jedes Gespräch.
meaning-added-delay = Das ist die Zeit, um die alles andere länger dauert, während jemand die Leitung füllt; ist sie lang, stört ein Download jedes Gespräch.
meaning-responsiveness = Das ist die Zahl der Umläufe je Minute, die durch die Leitung passen, während jemand sie füllt: unter 300 geht daneben nichts, was live gesprochen oder gezeigt wird.
meaning-jitter = Das sind die Schwankungen der Laufzeit; sind sie groß, setzen Ton und Bild aus.
meaning-loss = Das ist der Teil der Daten, der unterwegs verloren geht; geht viel verloren, setzen Ton und Bild aus.
meaning-dns = Das ist die Zeit, in der zu einem Namen wie www.example.org die Adresse gefunden ist.
meaning-tls = Das ist die Zeit, in der eine verschlüsselte Verbindung ausgehandelt ist.
meaning-snr = Das ist der Abstand des Funksignals vom Rauschen; je größer, desto besser.
meaning-utilisation = Das ist der Teil der Zeit, in der der Funkkanal belegt ist.
explain-layer-contract = ein Nennwert, wie er in Verträgen steht
explain-layer-ip = das, was über die Leitung läuft
explain-layer-payload = das, was an Nutzdaten ankommt
formula-min = kleinster Wert aus{" "}
formula-max = größter Wert aus{" "}
formula-below = je nachdem{" "}
fact-classes = Klassen
fact-pupils = Schülerzahl
fact-teachers = Lehrkräfte
fact-staff = Beschäftigte
fact-users = Schülerzahl und Beschäftigte
fact-rooms-teaching = Unterrichtsräume
fact-devices = Geräte
fact-authority-pupils = Schülerzahl aller Schulen des Trägers
fact-authority-staff = Beschäftigte aller Schulen des Trägers
fact-authority-users = Schülerzahl und Beschäftigte aller Schulen des Trägers
explain-measured = Was gemessen wurde
explain-months = Januar Februar März April Mai Juni Juli August September Oktober November Dezember
explain-school-year = Schuljahr { $years }
explain-closed = Zeitraum: { $period }. Er ist abgeschlossen, das Urteil endgültig.
explain-provisional = Zeitraum: { $period }. Er läuft noch, das Urteil ist vorläufig und kann sich noch ändern.
explain-window-any = Gezählt wird rund um die Uhr.
explain-window-lessons = Gezählt wird nur, was während des Unterrichts gemessen wurde.
explain-window-off = Gezählt wird nur, was außerhalb des Unterrichts gemessen wurde.
explain-window-own = Gezählt wird nur, was im Zeitfenster „{ $window }“ des Schulträgers gemessen wurde.
explain-no-samples = Es gibt keinen einzigen Messwert.
explain-samples = { $count ->
        [one] eine Messung
       *[other] { $count } Messungen
    }
explain-on-days = { $count ->
        [one] an einem Tag
       *[other] an { $count } Tagen
    }
explain-count = Umfang: { $count }.
explain-rolled-up = { $rolled ->
        [one] Einer davon stammt
       *[other] { $rolled } davon stammen
    } aus Stundenwerten nicht mehr aufbewahrter Messungen: jeder Wert weicht höchstens um 1/256 vom gemessenen ab, und es zählen nur Stunden, die ganz im Zeitfenster liegen.
explain-failures = { $failures ->
        [one] Ein weiterer Versuch brachte keinen Wert; er zählt
       *[other] { $failures } weitere Versuche brachten keinen Wert; sie zählen
    } nicht als schlechtes Ergebnis.
explain-median = Verglichen wird der mittlere Wert: die eine Hälfte der Messungen ist mindestens so gut, die andere höchstens so gut.
explain-reached = Verglichen wird der Wert, den { $percent } % der Messungen erreichen oder übertreffen.
explain-not-exceeded = Verglichen wird der Wert, den { $percent } % der Messungen nicht überschreiten.
explain-reached-on-days = Verglichen wird der Wert, den an { $percent } % der Tage die beste Messung erreicht oder übertrifft.
explain-not-exceeded-on-days = Verglichen wird der Wert, den an { $percent } % der Tage die beste Messung nicht überschreitet.
explain-statistic-project = Diese Art des Vergleichs hat das Programm gewählt, nicht die Quelle.
explain-observed = Der Wert, der mit dem Ziel verglichen wird, beträgt { $observed }.
explain-days-reached = Das Verlangte wurde an { $reached } von { $of } Tagen erreicht.
explain-ceiling = Das Messgerät hängt an einem Anschluss mit { $port } und kann höchstens { $ceiling } anzeigen.
explain-ceiling-of-box = Das Messgerät selbst kann höchstens { $ceiling } anzeigen, so viel trug es im Selbsttest.
explain-disturbed = Bei { $disturbed } von { $of } Tests ({ $share } %) nutzten zugleich andere den Anschluss des Messgeräts; auch diese Tests zählen.
explain-undisturbed = Während der Tests nutzte sonst niemand den Anschluss des Messgeräts.
explain-running = Daneben läuft { $period }: bisher { $verdict } (vorläufig; { $count }).
explain-certain = Was sicher ist
explain-between = Mit { $percent } % Sicherheit liegt der wahre Wert nicht unter { $lower }, mit ebenso großer Sicherheit nicht über { $upper }.
explain-not-below = Mit { $percent } % Sicherheit liegt der wahre Wert nicht unter { $lower }; wie hoch er sein kann, lassen so wenige Messungen offen.
explain-not-above = Mit { $percent } % Sicherheit liegt der wahre Wert nicht über { $upper }; wie niedrig er sein kann, lassen so wenige Messungen offen.
explain-anywhere = Wo der wahre Wert liegt, lässt sich aus so wenigen Messungen nicht mit { $percent } % Sicherheit sagen.
explain-met = Selbst der ungünstigste Wert, mit dem danach zu rechnen ist, genügt (nötig: { $bound }). Darum ist das Ziel erfüllt.
explain-missed = Selbst der günstigste Wert, mit dem danach zu rechnen ist, genügt nicht (nötig: { $bound }). Darum ist das Ziel nicht erfüllt.
explain-straddles = Der wahre Wert kann danach genügen oder nicht (nötig: { $bound }). Darum ist das Ziel weder erfüllt noch verfehlt.
explain-too-few = Ein Urteil braucht mindestens { $need } Messungen, es gibt { $have }.
explain-too-few-days = Ein Urteil braucht Messungen an mindestens { $need } Tagen, es gibt sie an { $have }.
explain-more-days = { $days ->
        [one] Frühestens nach einem weiteren Messtag
       *[other] Frühestens nach { $days } weiteren Messtagen
    } lässt es sich entscheiden.
explain-more-samples = { $samples ->
        [one] Frühestens nach einer weiteren Messung
       *[other] Frühestens nach { $samples } weiteren Messungen
    } lässt es sich entscheiden.
explain-never = Auch viel mehr Messungen würden es auf absehbare Zeit nicht entscheiden.
explain-no-verdict = Ein Urteil gibt es nicht: { $why }.
explain-nothing = Ohne Messwerte lässt sich nichts sagen. Ob in dieser Schule ein Messgerät angemeldet ist, zeigt „messnetz collector agents“.
explain-missing-fact = Ein Urteil gibt es nicht: für diese Schule fehlt die Angabe „{ $fact }“ (in der Standortdatei: { $key }), und geraten wird nicht.
explain-strict = Ohne den Abschlag für das Messen hieße das Urteil: { $verdict }.
explain-why = Woran es liegt
explain-why-unknown = Welcher Teil des Weges schuld ist, lässt sich noch nicht sagen. Als Nächstes ist zu klären: { $next }.
explain-mend = Was helfen würde
explain-mend-nothing = Für diese Ursache steht keine Maßnahme im Katalog.
explain-mend-unknown = Solange die Ursache nicht feststeht, wird nichts empfohlen.
explain-upgrade = { $title }: einmalig { $once }, monatlich { $monthly } (Preise vom { $day }).
explain-price-none = nichts
explain-price-yours = nach Angebot
explain-price-source = Preise nach { $source }.
explain-singles = Die einzelnen Messungen
explain-worst = Die { $shown } ungünstigsten von { $of }, nach der Uhr am Ort ({ $zone }):
explain-all = Alle zeigt der Befehl:
explain-single-disturbed = zugleich nutzten andere denselben Anschluss
explain-no-targets = Für diese Schule ist kein Ziel festgelegt, das gemessen wird.

## Schullisten und Bestandslisten
roster-at-line = Zeile { $line }
roster-at-row = Zeile { $line }
roster-at-record = Datensatz { $line }
roster-too-many-rows = mehr als { $most } Zeilen: der Rest wird nicht gelesen
roster-quote-open = ein Anführungszeichen wird nicht geschlossen: ist die Liste hier abgeschnitten?
roster-cell-too-long = eine Zelle ist länger als jeder Wert: fehlt ein schließendes Anführungszeichen?
roster-columns = hat { $has } von { $needs } Spalten: ist die Liste hier abgeschnitten, oder fehlt ein Anführungszeichen?
roster-no-record = der Datensatz ist kein Objekt
roster-no-characters = enthält Bytes, die in der Zeichenkodierung der Liste keine Zeichen sind
roster-wrong-code-page = Buchstaben wie „Ã¤“ zeigen, dass die Liste in der falschen Zeichenkodierung gespeichert wurde
roster-no-number = die Schule hat keine Nummer
roster-no-state = die Nummer „{ $number }“ nennt kein Land: geben Sie es an (--state NW, oder state = "NW" in der Zuordnung)
roster-not-so-many-digits = „{ $number }“ ist keine Nummer mit { $digits } Ziffern
roster-no-school-number = „{ $number }“ ist keine Schulnummer (Buchstaben, Ziffern, Bindestriche)
roster-no-name = die Schule hat keinen Namen
roster-name-too-long = der Name ist länger als { $most } Zeichen
roster-no-site = „{ $text }“ benennt keinen Standort: nötig sind Buchstaben oder Ziffern
roster-no-count = „{ $text }“ ist keine Anzahl ({ $fact })
roster-count-too-large = { $text } ({ $fact }) sind mehr, als irgendeine Schule hat (höchstens { $most })
roster-no-place = „{ $north } { $east }“ ist kein Ort; die Schule bleibt ohne Koordinaten
roster-school-twice = die Schule { $school } steht schon in { $first }; Zeilen einer Schule sind ihre Standorte, wenn die Zuordnung die Spalte nennt, die sie unterscheidet ([columns] site = "…")
roster-site-twice = der Standort { $site } steht schon in { $first }
roster-contradiction = { $school }, { $field }: hier „{ $says }“, in { $first } „{ $has }“; die erste Angabe gilt
roster-sum-too-large = die { $sites } Standorte von { $school } haben zusammen { $sum } ({ $fact }), mehr als irgendeine Schule (höchstens { $most }): die Schule bleibt ohne diese Angabe
roster-same-pupils = jeder der { $sites } Standorte von { $school } nennt { $pupils } Schülerinnen und Schüler: sind es die der ganzen Schule, gehört in die Zuordnung pupils = "{ $column }" statt site_pupils
roster-far-away = { $school } ({ $municipality }): { $at } liegt { $km } km von den anderen Schulen dort; die Schule bleibt ohne Koordinaten
sheet-no-school-named = die Zeile nennt keine Schule
sheet-no-origin = nennt in 1 bis 200 Zeichen, von wem die Angabe ist
sheet-no-day = „{ $text }“ ist kein Tag (31.12.2025 oder 2025-12-31)
sheet-no-device-kind = „{ $text }“ ist nichts von { $known }
sheet-no-device-count = „{ $text }“ ist keine Anzahl bis { $most }
sheet-no-year = „{ $text }“ ist kein Anschaffungsjahr
sheet-no-fact-value = „{ $text }“: nötig ist { $accepted }
sheet-unknown-fact = „{ $text }“ ist keine Angabe der Vorlage
sheet-unknown-fact-meant = „{ $text }“ ist keine Angabe der Vorlage; war „{ $meant }“ gemeint?
sheet-several-schools = mehrere Länder haben eine Schule { $school }
sheet-unknown-school = die Standortdatei hat keine Schule „{ $school }“
sheet-unknown-site = die Schule hat keinen Standort „{ $site }“
sheet-accepts-count = eine ganze Zahl bis { $most }
sheet-accepts-number = eine Zahl von 0 bis { $most }
sheet-accepts-yes-no = ja oder nein
sheet-accepts-cabling = Cat 5, Cat 5e, Cat 6, Cat 6A, Cat 7, Cat 8 oder Glasfaser
roster-list-own = Liste eigener Form
school-form-primary = Grundschule
school-form-secondary = Haupt-, Real- und Sekundarschule
school-form-grammar = Gymnasium
school-form-comprehensive = Gesamtschule
school-form-special = Förderschule
school-form-vocational = berufsbildende Schule
school-form-adult-education = Weiterbildung
school-form-other = andere
roster-field-name = Name
roster-field-form = Schulform
roster-field-land-form = Schulform des Landes
roster-field-municipality = Gemeinde
roster-field-municipality-key = Gemeindeschlüssel
roster-field-authority-number = Trägernummer
roster-field-street = Straße
roster-field-postcode = Postleitzahl
roster-field-place = Ort
roster-field-coordinates = Koordinaten
roster-field-pupils = Schülerzahl
roster-rows = { $rows } Zeilen
roster-schools = Schulen     { $schools }; nach Regel ausgelassen: { $closed } nicht in Betrieb, { $noschool } keine Schulen
roster-schools-and-sites = Schulen     { $schools } mit { $sites } Standorten; nach Regel ausgelassen: { $closed } nicht in Betrieb, { $noschool } keine Schulen
roster-asked-for = angefragt   { $count }
roster-to-look-at = zu prüfen   { $rows } Zeilen abgewiesen, { $values } Werte abgewiesen, { $doubted } Werte bezweifelt; { $forms } Schulformen nicht angegeben und aus Name oder Nummer gelesen
roster-columns-taken-for = Wofür die Spalten gehalten wurden (--save-mapping DATEI, berichtigen, --mapping DATEI):
roster-authorities = Schulträger der Liste: { $words }
roster-municipalities = Gemeinden der Liste: { $words }
roster-forms = Schulformen der Liste: { $words }
roster-merged = Gegen { $file }: { $new } Schulen neu, { $newsites } Standorte bekannter Schulen neu, { $changed } Werte geändert, { $kept } von Hand eingetragene behalten, { $gone } Schulen weg, { $gonesites } Standorte weg, { $unchanged } Schulen unverändert
roster-stays = { $was } bleibt, die Liste sagt { $list }
roster-gone = nicht in der Liste; bleibt in der Datei
roster-gone-closed = laut Liste nicht in Betrieb; bleibt in der Datei
roster-gone-no-school = laut Liste keine Schule; bleibt in der Datei
roster-nothing = nichts
roster-more = … und { $more } weitere (--json zeigt alle)
roster-up-to-date = { $file } ist auf dem Stand.
roster-written = Geschrieben: { $file }
roster-not-written = Nichts wird geschrieben.
roster-not-written-no-file = Nichts wird geschrieben: eine Standortdatei nennt --into.
sheet-read = { $file }: { $rows } Zeilen, { $examples } Beispiele übergangen, { $facts } Angaben, { $findings } Zeilen nicht verstanden
sheet-entered = Gegen { $file }: { $entered } Angaben eingetragen, { $kept } behalten, weil die Datei sie neuer hat, { $unchanged } unverändert
sheet-stays = { $was } bleibt, die Liste sagt { $sheet }
export-written = { $file }: { $schools } Schulen, { $sites } Standorte; { $without } Standorte ohne Koordinaten
