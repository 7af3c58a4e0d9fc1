//! Templates that are earned: a set of Odoo's own addons that runs had to install again and again becomes an image of its own, with one
//! more template database, made in the background.
//!
//! What was asked for is counted in a file below the cache folder. The images may take a bounded part of the disk; what was not used for
//! longest goes first, and so do those that were made from an image that is no longer the current one. Only Odoo's own code is ever in one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::{ContainerConfig, ContainerCreateBody, HostConfig, ImageSummary};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder, WaitContainerOptionsBuilder,
};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::container::{ADDON, Bounds, Container, DB, ROOT, Stop, User, script};
use super::{Engine, SandboxError, lease};
use crate::domain::OdooVersion;

/// Names the image that one was made from.
const LABEL_PARENT: &str = "odoo-agent.parent";
/// The addons that its template holds, with commas between them.
const LABEL_MODULES: &str = "odoo-agent.modules";
/// How long the server of a new template may take to stop.
const STOPPING: Duration = Duration::from_secs(60);
/// The most sets of addons that are counted for a series.
const MAX_COUNTED: usize = 200;

/// When a template is earned, and how much all of them may take.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplatesConfig {
    /// After how many jobs that had to install the same addons of Odoo they get a template; 0 switches it off.
    pub after: u32,
    /// Bytes of disk that all of them together may take.
    pub disk_bytes: u64,
}

impl Default for TemplatesConfig {
    fn default() -> Self {
        Self { after: 3, disk_bytes: 2 << 30 }
    }
}

/// What has to be installed on top of which template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) template: String,
    pub(super) modules: Vec<String>,
}

impl Wanted {
    /// The name of the template that it becomes.
    fn name(&self) -> String {
        let digest = Sha256::digest(format!("{} {}", self.template, self.modules.join(",")));
        format!("t_{}", digest.iter().take(5).map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

/// How often something was wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Count {
    wanted: Wanted,
    times: u32,
    last: DateTime<Utc>,
}

/// What was wanted, by the name of its template.
type Counts = BTreeMap<String, Count>;

/// An image with one more template.
#[derive(Debug, Clone)]
pub(super) struct Earned {
    pub(super) image: String,
    pub(super) modules: BTreeSet<String>,
    parent: String,
    /// Whether the image that it was made from is there no more.
    orphan: bool,
    bytes: u64,
}

impl Earned {
    fn template(&self) -> &str {
        self.image.rsplit('-').next().unwrap_or_default()
    }
}

/// What is wanted often enough and not there yet, the most wanted first.
fn due(counts: &Counts, there: &[Earned], after: u32) -> Option<Wanted> {
    let open = counts.iter().filter(|(name, count)| count.times >= after && !there.iter().any(|earned| earned.template() == name.as_str()));
    open.max_by_key(|(_, count)| count.times).map(|(_, count)| count.wanted.clone())
}

/// The images that must go: those whose parent is gone, then, so that the others fit, those unused for longest. Those of another parent
/// that is there are another release's, which looks after them itself.
fn surplus<'e>(there: &'e [Earned], counts: &Counts, parent: &str, most: u64) -> Vec<&'e Earned> {
    let (mut current, foreign): (Vec<_>, Vec<_>) = there.iter().partition(|earned| earned.parent == parent);
    current.sort_by_key(|earned| std::cmp::Reverse(counts.get(earned.template()).map(|count| count.last)));
    let mut taken = 0;
    let over = current.into_iter().filter(|earned| {
        taken += earned.bytes;
        taken > most
    });
    foreign.into_iter().filter(|earned| earned.orphan).chain(over).collect()
}

/// The images of ours that lost their name to one that was made later. One that is being made has none for a moment.
fn dangling(images: &[ImageSummary], now: DateTime<Utc>) -> Vec<String> {
    let nameless = |image: &ImageSummary| image.repo_tags.iter().all(|tag| tag.starts_with("<none>"));
    let old = |image: &ImageSummary| image.created < now.timestamp() - 600;
    let ours = images.iter().filter(|image| image.labels.contains_key(LABEL_PARENT));
    ours.filter(|image| nameless(image) && old(image)).map(|image| image.id.clone()).collect()
}

impl Engine {
    /// An image whose template holds more of what is declared than `template` does, if there is one.
    pub(super) async fn better_image(
        &self,
        version: &OdooVersion,
        template: &BTreeSet<String>,
        fits: impl Fn(&BTreeSet<String>) -> bool,
    ) -> Option<Earned> {
        let parent = self.tag(version);
        let earned = self.earned(version).await.ok()?;
        let better =
            earned.into_iter().filter(|earned| earned.parent == parent && earned.modules.is_superset(template) && fits(&earned.modules));
        better.max_by_key(|earned| earned.modules.len()).filter(|best| best.modules.len() > template.len())
    }

    /// The images with earned templates of a series.
    pub(super) async fn earned(&self, version: &OdooVersion) -> Result<Vec<Earned>, SandboxError> {
        let filters = HashMap::from([("label", vec![LABEL_PARENT])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let docker = self.docker().await?;
        let parents: HashMap<String, i64> = docker
            .list_images(Some(ListImagesOptionsBuilder::new().build()))
            .await?
            .into_iter()
            .flat_map(|image| image.repo_tags.into_iter().map(move |tag| (tag, image.size)))
            .collect();
        let prefix = format!("{}:{version}-", super::image::REPOSITORY);
        let made = docker.list_images(Some(options)).await?;
        let mut gone = BTreeSet::new();
        for parent in made.iter().filter_map(|image| image.labels.get(LABEL_PARENT)).filter(|parent| !parents.contains_key(*parent)) {
            // It may be named by its digest.
            let found = docker.inspect_image(parent).await;
            if matches!(found, Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })) {
                gone.insert(parent.clone());
            }
        }
        let read = |image: &ImageSummary| {
            let parent = image.labels.get(LABEL_PARENT)?.clone();
            let modules = image.labels.get(LABEL_MODULES)?.split(',').map(str::to_owned).collect();
            let name = image.repo_tags.iter().find(|tag| tag.starts_with(&prefix))?.clone();
            let bytes = u64::try_from(image.size - parents.get(&parent).copied().unwrap_or(0)).unwrap_or(0);
            Some(Earned { image: name, modules, orphan: gone.contains(&parent), parent, bytes })
        };
        Ok(made.iter().filter_map(read).collect())
    }

    /// Removes the images of a series that are neither the current one nor made from it; gives their names. What is in use stays.
    pub async fn prune_images(&self, version: &OdooVersion) -> Result<Vec<String>, SandboxError> {
        let (docker, current) = (self.docker().await?, self.tag(version));
        let earned = self.earned(version).await?;
        let kept = |tag: &String| *tag == current || earned.iter().any(|earned| earned.image == *tag && earned.parent == current);
        let prefix = format!("{}:{version}-", super::image::REPOSITORY);
        let images = docker.list_images(Some(ListImagesOptionsBuilder::new().build())).await?;
        let old = images.iter().flat_map(|image| image.repo_tags.clone()).filter(|tag| tag.starts_with(&prefix) && !kept(tag));
        let mut removed = Vec::new();
        for tag in dangling(&images, Utc::now()).into_iter().chain(old) {
            if self.remove_image(&tag).await? {
                removed.push(tag);
            }
        }
        Ok(removed)
    }

    /// Removes an image, by name or id, and says whether it did. One that is in use goes next time.
    async fn remove_image(&self, image: &str) -> Result<bool, SandboxError> {
        let options = RemoveImageOptionsBuilder::new().build();
        let removed = self.docker().await?.remove_image(image, Some(options), None).await;
        if let Err(error) = &removed {
            tracing::debug!(%error, image, "an image could not be removed");
        }
        Ok(removed.is_ok())
    }

    /// Counts that these addons were wanted on top of a template, and that an image was used because of it.
    pub(super) async fn want(&self, version: &OdooVersion, wanted: Wanted, used: Option<Earned>) {
        self.change_counts(version, move |counts| {
            if let Some(count) = used.and_then(|earned| counts.get_mut(earned.template())) {
                count.last = Utc::now();
            }
            let count = counts.entry(wanted.name()).or_insert(Count { wanted, times: 0, last: Utc::now() });
            (count.times, count.last) = (count.times.saturating_add(1), Utc::now());
            while counts.len() > MAX_COUNTED {
                let oldest = counts.iter().min_by_key(|(_, count)| count.last).map(|(name, _)| name.clone());
                oldest.and_then(|name| counts.remove(&name));
            }
        })
        .await;
    }

    /// What became no template, or is one no more, has to be earned anew.
    async fn forget(&self, version: &OdooVersion, template: String) {
        self.change_counts(version, move |counts| drop(counts.remove(&template))).await;
    }

    async fn change_counts(&self, version: &OdooVersion, change: impl FnOnce(&mut Counts) + Send + 'static) {
        let path = self.counts_path(version);
        let written = tokio::task::spawn_blocking(move || change_counts(&path, change));
        if let Ok(Err(error)) = written.await {
            tracing::debug!(%error, "what was wanted could not be counted");
        }
    }

    async fn counts(&self, version: &OdooVersion) -> Counts {
        let path = self.counts_path(version);
        tokio::task::spawn_blocking(move || read_counts(&path)).await.unwrap_or_default()
    }

    fn counts_path(&self, version: &OdooVersion) -> PathBuf {
        self.config().cache_dir.join(format!("wanted-{version}.json"))
    }

    /// The images with earned templates of a series, by name.
    pub async fn templates(&self, version: &OdooVersion) -> Result<Vec<String>, SandboxError> {
        Ok(self.earned(version).await?.into_iter().map(|earned| earned.image).collect())
    }

    /// Makes the template that is wanted most, if one is earned, and removes what there is no room for. Gives the image that was made.
    pub async fn earn(&self, version: &OdooVersion) -> Result<Option<String>, SandboxError> {
        let config = &self.config().templates;
        if config.after == 0 || self.image(version).await?.is_none() {
            return Ok(None);
        }
        let path = self.config().cache_dir.join("earning.lock");
        // Who comes second would make the same.
        let Some(_alone) = tokio::task::spawn_blocking(move || lock(&path)).await.ok().flatten() else { return Ok(None) };
        let parent = self.tag(version);
        let there = self.earned(version).await?.into_iter().filter(|earned| earned.parent == parent).collect::<Vec<_>>();
        let mut made = None;
        if let Some(wanted) = due(&self.counts(version).await, &there, config.after) {
            let modules = wanted.modules.join(",");
            match self.make_template(version, &wanted).await {
                Ok(image) => {
                    tracing::info!(image, modules, "a template was earned");
                    made = Some(image);
                }
                Err(error) => {
                    tracing::warn!(%error, modules, "a template could not be made; it has to be earned anew");
                    self.forget(version, wanted.name()).await;
                }
            }
        }
        self.give_up(version, &parent, config.disk_bytes).await?;
        Ok(made)
    }

    /// Removes the templates that there is no room for, and those that nobody can use.
    async fn give_up(&self, version: &OdooVersion, parent: &str, most: u64) -> Result<(), SandboxError> {
        let (there, counts) = (self.earned(version).await?, self.counts(version).await);
        for earned in surplus(&there, &counts, parent, most) {
            if !self.remove_image(&earned.image).await? {
                continue;
            }
            tracing::info!(image = earned.image, "a template was given up");
            // Otherwise it would be due again at once. One of a former parent is still wanted.
            if earned.parent == parent {
                self.forget(version, earned.template().to_owned()).await;
            }
        }
        let images = self.docker().await?.list_images(Some(ListImagesOptionsBuilder::new().build())).await?;
        for id in dangling(&images, Utc::now()) {
            self.remove_image(&id).await?;
        }
        Ok(())
    }

    /// Makes an image with a template that holds these addons of Odoo; gives its name.
    pub(super) async fn make_template(&self, version: &OdooVersion, wanted: &Wanted) -> Result<String, SandboxError> {
        let parent = self.image(version).await?.ok_or_else(|| self.image_missing(version))?;
        let docker = self.docker().await?;
        let body = ContainerCreateBody {
            image: Some(parent.clone()),
            entrypoint: Some(vec!["bash".to_owned(), script("template.sh"), "serve".to_owned()]),
            cmd: Some(Vec::new()),
            user: Some(format!("{0}:{0}", DB.id)),
            labels: Some(self.labels()),
            // Its file system is what is wanted of it, so that it can be written; the rest is as for any run.
            host_config: Some(HostConfig { readonly_rootfs: Some(false), tmpfs: None, ..self.host_config().await? }),
            ..ContainerCreateBody::default()
        };
        let container = Container::start(docker, &lease::making(), body).await?;
        let made = self.fill(&container, version, wanted, &parent).await;
        container.remove().await?;
        made
    }

    async fn fill(&self, container: &Container, version: &OdooVersion, wanted: &Wanted, parent: &str) -> Result<String, SandboxError> {
        let (name, modules) = (wanted.name(), wanted.modules.join(","));
        let template = script("template.sh");
        container.script(&DB, &[&script("ready.sh"), "60"], None).await?;
        container.script(&DB, &[&script("clone.sh"), &name, &wanted.template], None).await?;
        let installed = step(container, &ADDON, &[&template, "install", version.as_str(), &name, &wanted.template, &modules]).await?;
        container.script(&ROOT, &[&template, "finish", version.as_str(), &name], Some(installed.as_bytes())).await?;
        // The command goes down with the server that it stops, so that its own end says little; the server's does.
        let stop = container.script(&DB, &[&template, "stop", &name], None).await;
        let docker = self.docker().await?;
        let mut waiting = docker.wait_container(container.id(), Some(WaitContainerOptionsBuilder::new().build()));
        let why = match tokio::time::timeout(STOPPING, waiting.next()).await {
            Ok(Some(Ok(_))) => None,
            Ok(Some(Err(error))) => Some(error.to_string()),
            Ok(None) | Err(_) => Some(format!("no end within {} s", STOPPING.as_secs())),
        };
        if let Some(why) = why {
            let said = stop.err().map_or_else(String::new, |error| format!("; {error}"));
            return Err(SandboxError::Protocol(format!("the server of a new template did not stop well: {why}{said}")));
        }
        let labels = [
            ("odoo-agent.image", "1".to_owned()),
            (LABEL_PARENT, parent.to_owned()),
            (LABEL_MODULES, installed.split_whitespace().collect::<Vec<_>>().join(",")),
        ];
        let config =
            ContainerConfig { labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()), ..ContainerConfig::default() };
        let made_from: String = Sha256::digest(parent).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let (repository, tag) = (super::image::REPOSITORY, format!("{version}-{made_from}-{name}"));
        let options = CommitContainerOptionsBuilder::new().container(container.id()).repo(repository).tag(&tag).build();
        docker.commit_container(options, config).await?;
        Ok(format!("{repository}:{tag}"))
    }
}

/// A step that may take minutes.
async fn step(container: &Container, user: &User, cmd: &[&str]) -> Result<String, SandboxError> {
    let bounds = Bounds { total: Duration::from_secs(1200), idle: Duration::from_secs(1200), ..Bounds::SCRIPT };
    let output = container.exec(user, &[&["bash"], cmd].concat(), None, bounds).await?;
    match output.stop {
        Stop::Exited(0) => Ok(output.text()),
        stop => Err(SandboxError::Protocol(format!("{}: {stop:?}: {}", cmd.join(" "), output.text().trim()))),
    }
}

/// Holds a file that only one process at a time can hold, until it is dropped. `None`: another one has it, or it cannot be made.
fn lock(path: &Path) -> Option<File> {
    let taken = open_lock(path).and_then(|file| file.try_lock().map_err(std::io::Error::from).map(|()| file));
    taken.inspect_err(|error| tracing::debug!(%error, "templates are not looked after here")).ok()
}

fn open_lock(path: &Path) -> std::io::Result<File> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    File::create(path)
}

/// Changes what stands in the file now; no other process does so meanwhile.
fn change_counts(path: &Path, change: impl FnOnce(&mut Counts)) -> std::io::Result<()> {
    let alone = open_lock(&path.with_extension("lock"))?;
    alone.lock()?;
    let mut counts = read_counts(path);
    change(&mut counts);
    write_counts(path, &counts)
}

/// What cannot be read was never counted.
fn read_counts(path: &Path) -> Counts {
    std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

fn write_counts(path: &Path, counts: &Counts) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, counts)?;
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(modules: &[&str]) -> Wanted {
        Wanted { template: "t_mail".to_owned(), modules: modules.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn counted(entries: &[(&[&str], u32, i64)]) -> Counts {
        let at = |seconds: i64| DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap();
        let entry = |(modules, times, last): &(&[&str], u32, i64)| {
            let wanted = wanted(modules);
            (wanted.name(), Count { wanted, times: *times, last: at(*last) })
        };
        entries.iter().map(entry).collect()
    }

    fn earned(wanted: &Wanted, parent: &str, bytes: u64) -> Earned {
        Earned { image: format!("{parent}-{}", wanted.name()), modules: BTreeSet::new(), parent: parent.to_owned(), orphan: false, bytes }
    }

    #[test]
    fn what_is_wanted_often_is_due_once() {
        let counts = counted(&[(&["crm"], 3, 0), (&["fleet"], 9, 0), (&["lunch"], 2, 0)]);
        assert_eq!(due(&counts, &[], 3), Some(wanted(&["fleet"])));
        let there = [earned(&wanted(&["fleet"]), "p", 1)];
        assert_eq!(due(&counts, &there, 3), Some(wanted(&["crm"])));
        assert_eq!(due(&counts, &there, 4), None);
        assert_eq!(due(&Counts::new(), &[], 1), None);
    }

    #[test]
    fn least_recently_used_goes_first() {
        let counts = counted(&[(&["crm"], 3, 10), (&["fleet"], 9, 20), (&["lunch"], 5, 30)]);
        let there: Vec<_> = [&["crm"], &["fleet"], &["lunch"]].map(|modules| earned(&wanted(modules), "p:1-a", 100)).into();
        let going = |parent: &str, most: u64| surplus(&there, &counts, parent, most).into_iter().map(Earned::template).collect::<Vec<_>>();
        assert_eq!(going("p:1-a", 300), [""; 0]);
        assert_eq!(going("p:1-a", 250), [there[0].template()]);
        assert_eq!(going("p:1-a", 0).len(), 3);
    }

    #[test]
    fn those_of_another_release_stay_while_it_is_there() {
        let mut there = [earned(&wanted(&["crm"]), "p:1-a", 100)];
        assert!(surplus(&there, &Counts::new(), "p:1-b", 0).is_empty());
        there[0].orphan = true;
        assert_eq!(surplus(&there, &Counts::new(), "p:1-b", 1000).len(), 1);
    }

    #[test]
    fn only_ours_without_a_name_dangle() {
        let image = |id: &str, tags: &[&str], ours: bool, created: i64| ImageSummary {
            id: id.to_owned(),
            repo_tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            labels: ours.then(|| (LABEL_PARENT.to_owned(), "p".to_owned())).into_iter().collect(),
            created,
            ..ImageSummary::default()
        };
        let images = [
            image("lost", &[], true, 0),
            image("none", &["<none>:<none>"], true, 0),
            image("named", &["p:1"], true, 0),
            image("other", &[], false, 0),
            image("new", &[], true, 9_990),
        ];
        assert_eq!(dangling(&images, DateTime::from_timestamp(10_000, 0).unwrap()), ["lost", "none"]);
    }

    #[test]
    fn one_at_a_time_makes_templates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/earning.lock");
        let first = lock(&path);
        assert!(first.is_some() && lock(&path).is_none());
        drop(first);
        assert!(lock(&path).is_some());
        assert!(lock(&folder.path().join("deep")).is_none(), "a folder");
    }

    #[test]
    fn what_was_counted_meanwhile_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wanted-19.0.json");
        change_counts(&path, |counts| *counts = counted(&[(&["crm"], 3, 0), (&["fleet"], 3, 0)])).unwrap();
        change_counts(&path, |counts| drop(counts.remove(&wanted(&["crm"]).name()))).unwrap();
        assert_eq!(due(&read_counts(&path), &[], 3), Some(wanted(&["fleet"])));
        assert_eq!(read_counts(&path).len(), 1);
    }

    #[test]
    fn garbage_was_never_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/wanted.json");
        assert!(read_counts(&path).is_empty());
        write_counts(&path, &counted(&[(&["crm"], 3, 10)])).unwrap();
        assert_eq!(read_counts(&path).len(), 1);
        std::fs::write(&path, b"\xff not json").unwrap();
        assert!(read_counts(&path).is_empty());
    }
}
