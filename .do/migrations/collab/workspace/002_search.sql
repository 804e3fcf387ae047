-- What the documents' change streams tell: their titles, who may read them, and what stands in them.
CREATE TABLE documents (
  id TEXT PRIMARY KEY,
  title TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE readers (
  user_id TEXT NOT NULL,
  document TEXT NOT NULL,
  role TEXT NOT NULL,
  PRIMARY KEY (user_id, document)
) WITHOUT ROWID;

CREATE TABLE entries (
  id INTEGER PRIMARY KEY,
  document TEXT NOT NULL,
  block TEXT NOT NULL,
  text TEXT NOT NULL,
  UNIQUE (document, block)
);

-- The index holds no text of its own: it reads the entries', and triggers keep it in step with them.
CREATE VIRTUAL TABLE entry_index USING fts5(text, content = 'entries', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2');

CREATE TRIGGER entries_insert AFTER INSERT ON entries BEGIN
  INSERT INTO entry_index (rowid, text) VALUES (new.id, new.text);
END;

CREATE TRIGGER entries_delete AFTER DELETE ON entries BEGIN
  INSERT INTO entry_index (entry_index, rowid, text) VALUES ('delete', old.id, old.text);
END;

CREATE TRIGGER entries_update AFTER UPDATE OF text ON entries BEGIN
  INSERT INTO entry_index (entry_index, rowid, text) VALUES ('delete', old.id, old.text);
  INSERT INTO entry_index (rowid, text) VALUES (new.id, new.text);
END;
