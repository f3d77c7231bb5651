//! Opening a SQLite file that another process may be opening at the same moment: the store and the spool
//! both are such files.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

/// How long a command waits for another process that is writing.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the file with write-ahead logging; makes it where it is missing.
pub(crate) fn open_shared(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    plan_once(&connection)?;
    write_ahead(&connection)?;
    Ok(connection)
}

/// Plans a statement once, whatever it is given later. Otherwise SQLite looks at what is given wherever a column is
/// compared with it, and so parses and plans a kept statement anew each time
/// (`SQLITE_DBCONFIG_ENABLE_QPSG` of its C interface).
pub(crate) fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Switches to write-ahead logging. Where two programs open a new file at once SQLite refuses one of them
/// without waiting (a wait could be a deadlock), so the waiting is done here.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < end =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_can_be_opened_by_many_at_once() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("new.db");
            std::thread::scope(|scope| {
                let opening: Vec<_> = (0..4)
                    .map(|_| scope.spawn(|| open_shared(&path).map(drop)))
                    .collect();
                for thread in opening {
                    thread.join().unwrap().unwrap();
                }
            });
        }
    }
}
