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
undecided-port = der Anschluss der Messbox ({ $port }) trägt höchstens { $ceiling }, zu sehen sein müssten { $needed }
no-data-no-samples = nichts gemessen
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

## Ziele
targets-list-note = Gezählt sind gemessene Ziele und Ziele des Bestands.
targets-valid-from = gültig ab
targets-valid-to = gültig bis
targets-extends = übernimmt
targets-cap = höchstens
targets-threshold = Schwelle
targets-tolerated = toleriert
targets-inventory = Bestand (keine Messung kann ihn feststellen)
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
quantity-rtt = Umlaufzeit
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
cause-line-under-delivers = Leitung: der Anbieter liefert { $measured } von { $contract }
cause-line-quality = Leitung: { $quantity } { $measured }, Grenze { $limit }
cause-lan = LAN: { $quantity } { $measured }, Grenze { $limit }
cause-wlan = WLAN: { $quantity } { $measured }, das LAN dahinter ist sauber
cause-agent-port = Messbox: ihr Anschluss mit { $port } ist zu klein für eine Aussage
cause-service = Dienst: { $quantity } { $measured }, die Leitung dorthin ist sauber
cause-undecidable = nicht entscheidbar; als Nächstes klären: { $next }
unknown-contract = was der Vertrag zusagt

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
dashboard-as-of = Stand { $time } UTC; Messwerte der letzten { $days } Tage.
dashboard-overview = Komplettübersicht
dashboard-coverage = Zielerreichung
dashboard-throughput = Gemessener gegen geforderten Download
dashboard-table-below = Die Tabelle darunter sagt dasselbe in Worten.
dashboard-language = English
statistic = { $statistic } aus { $samples } an { $days } Tagen
legend-note = ✔ erfüllt, ✘ nicht erfüllt, ? unentschieden, – keine Daten. Wo eine Rate als Vertrag gefordert und als TCP-Nutzlast gemessen wird, steht der tolerierte Wert in Klammern. Urteile über abgeschlossene Zeiträume sind endgültig, vorläufige können sich noch ändern.

## Audit
audit-title = Audit von { $school }
audit-is-snapshot = Eine Momentaufnahme: sie sagt heute darüber oder darunter, nie erfüllt oder nicht erfüllt.
audit-above = heute darüber
audit-below = heute darunter
audit-favourable = gut
audit-unfavourable = nicht gut
audit-not-measured = nicht gemessen
audit-segment-wlan = WLAN
audit-segment-lan = LAN
audit-segment-line = Leitung
audit-segment-service = Dienste
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
