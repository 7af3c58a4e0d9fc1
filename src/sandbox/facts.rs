//! What Odoo's own addons define: read out of an image once, then kept below the cache folder.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::container::{ADDON, Bounds, Container, Stop, script};
use super::{Engine, SandboxError};
use crate::domain::{ModuleName, OdooVersion, RelPath};
use crate::odoo::Addon;
use crate::odoo::source::{Facts, OrmFacts};

/// Raise it when what is read of the sources changes: what was kept before is then read anew.
const FORMAT: u32 = 3;
/// The folder of the tar that holds what every Odoo model has; no addon of Odoo is called so.
const ORM: &str = "orm";
/// Sources of Odoo 19.0 have 60 MB.
const BOUNDS: Bounds = Bounds { total: Duration::from_secs(300), idle: Duration::from_secs(60), bytes: 512 * 1024 * 1024 };

impl Engine {
    /// What Odoo's own addons define in this series. The first time it is read out of `container`, which takes some seconds.
    pub(super) async fn facts(&self, container: &Container, version: &OdooVersion) -> Result<Arc<Facts>, SandboxError> {
        let image = self.docker().await?.inspect_image(&self.tag(version)).await?.id.unwrap_or_default();
        // Who wants those of another image does not wait for this one.
        let known = self.known_facts().lock().await.entry(image.clone()).or_default().clone();
        let first = async {
            let file = kept_in(&self.config().cache_dir, &image);
            let facts = match load(file.clone()).await {
                Some(facts) => facts,
                None => keep(read(container, version).await?, file).await?,
            };
            Ok::<_, SandboxError>(Arc::new(facts))
        };
        known.get_or_try_init(|| first).await.cloned()
    }
}

fn kept_in(folder: &Path, image: &str) -> PathBuf {
    let image: String = image.trim_start_matches("sha256:").chars().filter(char::is_ascii_alphanumeric).take(24).collect();
    folder.join(format!("facts-{FORMAT}-{image}.json"))
}

/// What was kept; `None` if there is nothing of use.
async fn load(file: PathBuf) -> Option<Facts> {
    let read = move || serde_json::from_slice(&std::fs::read(file).ok()?).ok();
    tokio::task::spawn_blocking(read).await.ok().flatten()
}

/// Keeps them for later processes. A folder that cannot be written costs the next process some seconds, and nothing else.
async fn keep(facts: Facts, file: PathBuf) -> Result<Facts, SandboxError> {
    let write = move || {
        let kept = || -> std::io::Result<()> {
            let folder = file.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            // A reader must never see half of it.
            let whole = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer(std::io::BufWriter::new(whole.as_file()), &facts)?;
            whole.persist(&file)?;
            Ok(())
        };
        if let Err(error) = kept() {
            tracing::info!(%error, file = %file.display(), "what Odoo's addons define could not be kept");
        }
        facts
    };
    tokio::task::spawn_blocking(write).await.map_err(|error| SandboxError::Protocol(error.to_string()))
}

async fn read(container: &Container, version: &OdooVersion) -> Result<Facts, SandboxError> {
    let script = script("core.sh");
    let output = container.exec(&ADDON, &["bash", &script, version.as_str()], None, BOUNDS).await?;
    if output.stop != Stop::Exited(0) {
        let said = String::from_utf8_lossy(&output.bytes[output.bytes.len().saturating_sub(300)..]).into_owned();
        return Err(SandboxError::Protocol(format!("the sources of Odoo {version} could not be read: {said}")));
    }
    let facts = tokio::task::spawn_blocking(move || unpack(&output.bytes)).await;
    facts.map_err(|error| SandboxError::Protocol(error.to_string()))?
}

/// The addons of a tar.
fn unpack(bytes: &[u8]) -> Result<Facts, SandboxError> {
    let broken = |error: std::io::Error| SandboxError::Protocol(format!("the sources of Odoo could not be unpacked: {error}"));
    let mut addons: BTreeMap<ModuleName, Vec<(RelPath, Vec<u8>)>> = BTreeMap::new();
    let mut orm = OrmFacts::default();
    for entry in tar::Archive::new(bytes).entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let path = entry.path().ok().and_then(|path| path.strip_prefix(".").unwrap_or(&path).to_str()?.parse::<RelPath>().ok());
        // A file beside the addons belongs to none.
        let path = path.filter(|path| !path.within_module().is_empty());
        let module = path.as_ref().and_then(|path| path.module().parse::<ModuleName>().ok());
        let (Some(path), Some(module)) = (path, module) else { continue };
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(broken)?;
        if module.as_str() == ORM {
            orm.read(&String::from_utf8_lossy(&content));
            continue;
        }
        addons.entry(module).or_default().push((path, content));
    }
    let facts = Facts::of(&addons.into_iter().map(|(name, files)| Addon::new(name, files)).collect::<Vec<_>>());
    Ok(Facts { orm, ..facts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::sources::archive;

    #[test]
    fn addons_of_a_tar_are_read() {
        let files: [(&str, &[u8]); 4] = [
            ("orm/models.py", b"class BaseModel(metaclass=Meta):\n    _order = 'id'\n    def search(self, domain, limit=None): pass\n"),
            ("./sale/__manifest__.py", b"{'depends': ['base']}"),
            ("./sale/models/s.py", b"class S(models.Model):\n    _name = 'sale.order'\n"),
            ("./README", b"x"),
        ];
        let facts = unpack(&archive(files.into_iter()).unwrap()).unwrap();
        assert_eq!(facts.modules.keys().collect::<Vec<_>>(), ["sale"]);
        assert_eq!(facts.modules["sale"].classes[0].odoo_model, "sale.order");
        assert_eq!(facts.orm.methods["search"].parameters.len(), 3);
        assert!(facts.orm.attributes.contains("_order"));
        assert!(unpack(b"garbage").is_err() || unpack(b"garbage").unwrap().modules.is_empty());
    }

    #[tokio::test]
    async fn what_was_kept_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = kept_in(&folder.path().join("new"), "sha256:abc/../x");
        assert!(file.ends_with("new/facts-3-abcx.json"));
        assert_eq!(load(file.clone()).await, None);
        let facts = unpack(&archive([("./a/__manifest__.py", b"{}".as_slice())].into_iter()).unwrap()).unwrap();
        assert_eq!(keep(facts.clone(), file.clone()).await.unwrap(), facts);
        assert_eq!(load(file.clone()).await, Some(facts));
        std::fs::write(&file, "{half").unwrap();
        assert_eq!(load(file).await, None);
    }
}
