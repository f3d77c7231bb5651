//! Tests of the keys.

use messnetz_probes::tls::Fingerprint;

use super::*;
use crate::identity;
use crate::store::SqliteStore;

fn place() -> (tempfile::TempDir, KeyDirectory, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    let directory = KeyDirectory::of(folder.path());
    (folder, directory, store)
}

fn who(keys: &Keys) -> (Fingerprint, CollectorId) {
    (keys.certificate.fingerprint, keys.receipts.id())
}

fn holds(folder: &Path, secret: &[u8]) -> bool {
    let files = ["store.db", "store.db-wal"];
    files.iter().any(|name| {
        let file = fs::read(folder.join(name)).unwrap_or_default();
        file.windows(secret.len()).any(|window| window == secret)
    })
}

#[test]
fn keys_are_made_once_whoever_asks_at_the_same_time() {
    let (folder, directory, _store) = place();
    let path = folder.path().join("store.db");
    let ask = || {
        let store = SqliteStore::open(&path).unwrap();
        who(&directory.open(&store).unwrap())
    };
    let of_all: Vec<_> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        asking
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(of_all.iter().all(|one| *one == of_all[0]));
    assert_eq!(ask(), of_all[0]);
    let names = fs::read_dir(folder.path().join(DIRECTORY)).unwrap();
    assert_eq!(
        names.count(),
        2,
        "nothing is left of those that were not first"
    );
}

#[test]
fn nobody_but_the_owner_reads_a_key() {
    let (folder, directory, store) = place();
    directory.open(&store).unwrap();
    let mode = |name: &str| {
        let path = folder.path().join(DIRECTORY).join(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    let opened = folder.path().join(DIRECTORY).join(RECEIPTS);
    fs::set_permissions(opened, Permissions::from_mode(0o644)).unwrap();
    directory.open(&store).unwrap();
    assert_eq!([mode(CERTIFICATE), mode(RECEIPTS)], [0o600; 2]);
}

#[test]
fn keys_of_an_older_program_move_out_of_the_store_and_none_of_their_bytes_stay() {
    let (folder, directory, store) = place();
    let pem = identity::self_signed().unwrap();
    let receipts = ReceiptKey::generate().unwrap();
    store.set_setting("certificate-and-key-pem", &pem).unwrap();
    store.set_setting("receipt-key-pkcs8", &receipts).unwrap();
    // A PEM file ends with the private key.
    let secrets = [&pem[pem.len() - 120..], &receipts[16..]];
    assert!(secrets.iter().all(|secret| holds(folder.path(), secret)));
    let keys = directory.open(&store).unwrap();
    let before = Identity::of_pem(&pem, &pem).unwrap().fingerprint;
    let id = ReceiptKey::read(&receipts).unwrap().id();
    assert_eq!(who(&keys), (before, id));
    for secret in secrets {
        assert!(!holds(folder.path(), secret));
    }
    store.backup(&folder.path().join("copy.db")).unwrap();
    let copy = fs::read(folder.path().join("copy.db")).unwrap();
    for secret in secrets {
        assert!(!copy.windows(secret.len()).any(|window| window == secret));
    }
    assert_eq!(who(&directory.open(&store).unwrap()), who(&keys));
}

#[test]
fn a_store_without_its_keys_is_not_given_others_unless_that_is_asked_for() {
    let (folder, directory, store) = place();
    let before = who(&directory.open(&store).unwrap());
    let export = folder.path().join("keys.json");
    directory.export(&store, &export).unwrap();
    fs::remove_dir_all(folder.path().join(DIRECTORY)).unwrap();
    let missing = directory.open(&store).unwrap_err();
    assert!(matches!(missing, KeyError::Missing { .. }), "{missing}");
    assert_eq!(directory.import(&store, &export).unwrap(), before.1);
    assert_eq!(who(&directory.open(&store).unwrap()), before);
    let again = directory.import(&store, &export).unwrap_err();
    assert!(matches!(again, KeyError::InTheWay(_)), "{again}");
    let anew = directory.begin_anew(&store).unwrap_err();
    assert!(matches!(anew, KeyError::InTheWay(_)), "{anew}");
    fs::remove_dir_all(folder.path().join(DIRECTORY)).unwrap();
    let other = who(&directory.begin_anew(&store).unwrap());
    assert_ne!(other.1, before.1);
    fs::remove_dir_all(folder.path().join(DIRECTORY)).unwrap();
    let foreign = directory.import(&store, &export).unwrap_err();
    assert!(matches!(foreign, KeyError::Other { .. }), "{foreign}");
}

#[test]
fn what_is_no_export_or_a_changed_one_is_not_taken() {
    let (folder, directory, store) = place();
    directory.open(&store).unwrap();
    let export = folder.path().join("keys.json");
    directory.export(&store, &export).unwrap();
    let mode = fs::metadata(&export).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&export).unwrap();
    fs::remove_dir_all(folder.path().join(DIRECTORY)).unwrap();
    let id = CollectorId::of_key(&[1; 32]).to_string();
    let named = known_id(&store).unwrap().unwrap().to_string();
    for wrong in [
        "{}".to_owned(),
        text.replace("messnetz-keys-1", "messnetz-keys-9"),
        text.replace(&named, &id),
        text.replace("BEGIN PRIVATE KEY", "BEGIN"),
        text.replace("\"receipts\": \"", "\"receipts\": \"AA"),
    ] {
        fs::write(&export, wrong).unwrap();
        directory.import(&store, &export).unwrap_err();
        assert!(directory.read(RECEIPTS).unwrap().is_none());
    }
}
