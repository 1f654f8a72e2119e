-- Ersatzteillager der Werkstatt Morgenstern: Tabellen und Sichten (PostgreSQL 15).
-- Mengen sind Stück, Preise netto in Cent. Ansprechpartnerin: Katja Lindqvist.

-- Ein Lieferant. "mahnstufe" steigt mit jeder unbeantworteten Reklamation;
-- ab Stufe 3 schlägt die Bestellmaske den Lieferanten nicht mehr vor.
CREATE TABLE lieferant (
    id          SERIAL PRIMARY KEY,
    name        TEXT NOT NULL,
    ort         TEXT,
    lieferzeit  INTEGER NOT NULL DEFAULT 5,   -- Werktage
    mahnstufe   SMALLINT NOT NULL DEFAULT 0
);

-- Ein Teil. Die Teilenummer hat die Form XX-9999; XX ist die Warengruppe:
-- BR Bremse, AN Antrieb, EL Elektrik, RA Rahmen, ZU Zubehör.
CREATE TABLE teil (
    nummer          CHAR(7) PRIMARY KEY,
    bezeichnung     TEXT NOT NULL,
    lieferant_id    INTEGER REFERENCES lieferant(id),
    einkaufspreis   INTEGER NOT NULL,
    mindestbestand  INTEGER NOT NULL DEFAULT 4,
    fach            CHAR(5)                       -- Regal und Boden, z. B. R12-3
);

-- Jede Bewegung, Zugang positiv, Abgang negativ. Wird nie geändert oder gelöscht:
-- Irrtümer werden durch eine Gegenbuchung mit grund = 'storno' berichtigt.
CREATE TABLE bewegung (
    id       BIGSERIAL PRIMARY KEY,
    teil     CHAR(7) NOT NULL REFERENCES teil(nummer),
    menge    INTEGER NOT NULL,
    grund    TEXT NOT NULL CHECK (grund IN ('einkauf', 'einbau', 'inventur', 'storno', 'schwund')),
    person   TEXT NOT NULL,
    wann     TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX bewegung_teil_wann ON bewegung (teil, wann DESC);

-- Der Bestand ist nirgends gespeichert, sondern die Summe der Bewegungen.
CREATE VIEW bestand AS
SELECT teil, sum(menge) AS stueck
FROM bewegung
GROUP BY teil;

-- Was bestellt werden soll: alles unter dem Mindestbestand. Bestellt wird bis zum
-- Zweieinhalbfachen des Mindestbestands, aufgerundet auf ganze Verpackungen zu sechs Stück.
CREATE VIEW bestellvorschlag AS
SELECT t.nummer, t.bezeichnung, l.name AS lieferant,
       ceil((t.mindestbestand * 2.5 - coalesce(b.stueck, 0)) / 6.0) * 6 AS menge
FROM teil t
JOIN lieferant l ON l.id = t.lieferant_id AND l.mahnstufe < 3
LEFT JOIN bestand b ON b.teil = t.nummer
WHERE coalesce(b.stueck, 0) < t.mindestbestand;

-- Verkaufspreis in Cent: 45 % Aufschlag, bei Kleinteilen unter 3 Euro 80 %,
-- dann 19 % Umsatzsteuer, gerundet auf volle 5 Cent.
CREATE FUNCTION verkaufspreis(einkauf INTEGER) RETURNS INTEGER AS $$
    SELECT (round(einkauf * CASE WHEN einkauf < 300 THEN 1.80 ELSE 1.45 END * 1.19 / 5) * 5)::INTEGER;
$$ LANGUAGE sql IMMUTABLE;

-- Die Inventur läuft am letzten Freitag im November; bis dahin sperrt der Auslöser
-- alle Bewegungen außer 'inventur'. Nachts um 2.30 Uhr wird die Datenbank gesichert,
-- die Sicherungen bleiben 35 Tage liegen.
CREATE FUNCTION inventursperre() RETURNS trigger AS $$
BEGIN
    IF current_setting('werkstatt.inventur', true) = 'an' AND NEW.grund <> 'inventur' THEN
        RAISE EXCEPTION 'Während der Inventur sind nur Zählungen erlaubt (Fach % gesperrt)', NEW.teil;
    END IF;
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;
