//! The way out of a sandbox, for a tenant that approved domains: a proxy in a container of its own, and a socket in memory between the two.
//!
//! The sandbox itself keeps no network. What listens on its loopback interface hands every connection to the socket; on the other side
//! stand only the proxy and its list (`sandbox/run/egress*`).

use std::collections::HashMap;
use std::pin::Pin;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig};
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};

use super::container::{Container, DB, script};
use super::{Config, Limits, SandboxError};
use crate::domain::Domain;

/// Runs the proxy; a user of no other container, in the group of those that may use the socket.
const PROXY: &str = "64003";
/// Where the socket is, in both containers.
const FOLDER: &str = "/srv/egress";
const ADDRESS: &str = "http://127.0.0.1:3128";
const MIB: u64 = 1024 * 1024;

/// A proxy that runs, and the volume with its socket.
pub(super) struct Egress {
    docker: Docker,
    container: Container,
    mount: Mount,
}

impl Egress {
    /// Starts a proxy to these domains. The volume comes and goes with its first container, so there is no moment at which it is nobody's.
    pub(super) async fn start(
        docker: &Docker,
        name: &str,
        image: String,
        labels: HashMap<String, String>,
        cpus: Option<i64>,
        config: &Config,
        allow: &[Domain],
    ) -> Result<Self, SandboxError> {
        let mount = mount(name, &labels);
        let command = ["bash".to_owned(), script("egress.sh")].into_iter().chain(allow.iter().flat_map(patterns));
        let body = ContainerCreateBody {
            image: Some(image),
            entrypoint: Some(command.collect()),
            cmd: Some(Vec::new()),
            user: Some(format!("{PROXY}:{}", DB.id)),
            working_dir: Some("/".to_owned()),
            hostname: Some("egress".to_owned()),
            labels: Some(labels),
            host_config: Some(host_config(config, cpus, mount.clone())),
            ..ContainerCreateBody::default()
        };
        Ok(Self { container: Container::start_tethered(docker, name, body).await?, docker: docker.clone(), mount })
    }

    /// The socket, for the sandbox: it can be connected to and not replaced.
    pub(super) fn mount(&self) -> Mount {
        Mount { read_only: Some(true), ..self.mount.clone() }
    }

    /// Removes the proxy and the volume; the sandbox must be gone.
    pub(super) fn remove(self) -> Pin<Box<dyn Future<Output = Result<(), SandboxError>> + Send>> {
        Box::pin(async move {
            self.container.remove().await?;
            remove_volume(&self.docker, self.mount.source.as_deref().unwrap_or_default()).await
        })
    }
}

/// Makes the proxy reachable in the sandbox, and sees to it that it refuses what it must.
pub(super) async fn connect(sandbox: &Container) -> Result<(), SandboxError> {
    sandbox.script(&DB, &[&script("egress_relay.sh"), "15"], None).await.map(|_| ())
}

/// What programs in the sandbox are told about the proxy.
pub(super) fn environment() -> Vec<String> {
    let proxy = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"].map(|name| format!("{name}={ADDRESS}"));
    // Odoo's own tests talk to the server that they run in.
    let none = ["no_proxy", "NO_PROXY"].map(|name| format!("{name}=localhost,127.0.0.1,::1"));
    proxy.into_iter().chain(none).collect()
}

/// Removes those volumes of this label that no container uses and whose name is asked for.
pub(super) async fn remove_volumes(docker: &Docker, label: &str, wanted: impl Fn(&str) -> bool) -> Result<(), SandboxError> {
    let filters = HashMap::from([("label", vec![label]), ("dangling", vec!["true"])]);
    let found = docker.list_volumes(Some(ListVolumesOptionsBuilder::new().filters(&filters).build())).await?;
    let mut last = Ok(());
    for volume in found.volumes.unwrap_or_default().into_iter().filter(|volume| wanted(&volume.name)) {
        // One that cannot be removed must not keep the others.
        if let Err(error) = remove_volume(docker, &volume.name).await {
            last = Err(error);
        }
    }
    last
}

/// One that is still in use goes with the next sweep.
async fn remove_volume(docker: &Docker, name: &str) -> Result<(), SandboxError> {
    match docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
        Ok(()) | Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// As narrow as the sandbox, but for the network.
fn host_config(config: &Config, cpus: Option<i64>, mount: Mount) -> HostConfig {
    let limits = Limits { memory_bytes: 64 * MIB, cpus: 0.5, processes: 256, ..Limits::default() };
    let tmp = format!("rw,noexec,nosuid,nodev,size={MIB},uid={PROXY},gid={},mode=0700", DB.id);
    HostConfig {
        network_mode: Some("bridge".to_owned()),
        dns: None,
        // A name is looked up as it was approved, never below a domain of the host.
        dns_search: Some(vec![".".to_owned()]),
        extra_hosts: Some(config.hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect()),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), tmp)])),
        mounts: Some(vec![mount]),
        ..limits.host_config(cpus, config.runtime.clone())
    }
}

/// A volume in memory. `db`, which relays, may look inside; the code under test may not.
fn mount(name: &str, labels: &HashMap<String, String>) -> Mount {
    let option = |key: &str, value: String| (key.to_owned(), value);
    let options = format!("size={MIB},nr_inodes=16,nosuid,nodev,noexec,uid={PROXY},gid={},mode=0750", DB.id);
    let options = HashMap::from([option("type", "tmpfs".to_owned()), option("device", "tmpfs".to_owned()), option("o", options)]);
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(name.to_owned()),
        target: Some(FOLDER.to_owned()),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            labels: Some(labels.clone()),
            driver_config: Some(MountVolumeOptionsDriverConfig { name: Some("local".to_owned()), options: Some(options) }),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

/// What the URL of a request must look like, as basic regular expressions: HTTPS on its port, plain HTTP on its port. The whole name
/// is matched, up to where no reader of URLs can see anything else in it.
fn patterns(domain: &Domain) -> [String; 2] {
    let (name, below) = domain.parts();
    let below = if below { r"\([a-z0-9_-][a-z0-9_-]*\.\)*" } else { "" };
    let name = name.replace('.', r"\.");
    [format!("^{below}{name}:443$"), format!(r"^http://{below}{name}\(:80\)\{{0,1\}}/")]
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// What a real matcher of basic regular expressions says.
    fn allowed(domain: &str, url: &str) -> bool {
        let patterns = patterns(&domain.parse().unwrap());
        let mut grep = Command::new("grep");
        grep.args(["-qi", "-e", &patterns[0], "-e", &patterns[1]]).env("LC_ALL", "C").stdin(Stdio::piped());
        let mut child = grep.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), url.as_bytes()).unwrap();
        child.wait().unwrap().success()
    }

    #[test]
    fn name_is_matched_from_end_to_end() {
        for url in ["api.example.com:443", "http://api.example.com/", "http://api.example.com:80/x?y", "HTTP://API.example.com/"] {
            assert!(allowed("api.example.com", url), "{url}");
        }
        let refused = "api.example.com api.example.com:22 api.example.com:4430 xapi.example.com:443 x.api.example.com:443 apixexample.com:443 \
            api.example.com.evil.com:443 api.example.com@10.0.0.1:443 http://api.example.com http://api.example.com:8080/ \
            http://api.example.com@10.0.0.1/ http://api.example.com:80@10.0.0.1/ http://api.example.com?@10.0.0.1/ \
            http://api.example.com#/ http://u@api.example.com/ http://10.0.0.1/http://api.example.com/ 10.0.0.1:443 \
            https://api.example.com/ ftp://api.example.com/ http://api.example.com.evil.com/ http://api.example.com\\@evil.com/";
        for url in refused.split_whitespace() {
            assert!(!allowed("api.example.com", url), "{url}");
        }
    }

    #[test]
    fn dot_in_front_means_those_below_too() {
        for url in ["example.org:443", "a.example.org:443", "http://a-1.b_2.example.org/", "http://example.org:80/"] {
            assert!(allowed(".example.org", url), "{url}");
        }
        for url in [
            "badexample.org:443",
            "a/example.org:443",
            "http://evil.com/.example.org/",
            "http://evil.com@a.example.org/",
            ".example.org:443",
        ] {
            assert!(!allowed(".example.org", url), "{url}");
        }
    }

    #[test]
    fn longest_pattern_fits_a_line_of_the_proxy() {
        let longest = format!(".{}ab.cd", "a.".repeat(124));
        assert_eq!(longest.len(), 254);
        assert!(patterns(&longest.parse().unwrap()).iter().all(|pattern| pattern.len() < 511));
    }

    #[test]
    fn proxy_gets_a_network_and_nothing_else() {
        let config = Config { hosts: [("a.example".parse().unwrap(), [10, 0, 0, 1].into())].into(), ..Config::default() };
        let host = host_config(&config, Some(2), mount("v", &HashMap::new()));
        assert_eq!(host.network_mode.as_deref(), Some("bridge"));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.extra_hosts, Some(vec!["a.example:10.0.0.1".to_owned()]));
        assert!(host.readonly_rootfs == Some(true) && host.memory == host.memory_swap && host.binds.is_none() && host.cap_add.is_none());
        assert!(host.security_opt.unwrap().contains(&"no-new-privileges".to_owned()));
    }
}
