//! What the numbers were measured on.

use super::docker::Docker;

/// The machine of the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    pub cpus: f64,
    processor: String,
    memory_gb: f64,
    engine: String,
    storage: String,
    image: String,
    load: String,
}

impl Machine {
    pub async fn ask(docker: &Docker, image: &str) -> anyhow::Result<Self> {
        let told = docker.text(&["info", "--format", "{{.NCPU}}|{{.MemTotal}}|{{.ServerVersion}}|{{.Driver}}"], &[]).await?;
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::read(&told, image, &file("/proc/cpuinfo"), &file("/proc/loadavg"))
    }

    fn read(told: &str, image: &str, cpuinfo: &str, loadavg: &str) -> anyhow::Result<Self> {
        let [cpus, memory, engine, storage] = told.trim().split('|').collect::<Vec<_>>()[..] else {
            anyhow::bail!("docker info said {told:?}");
        };
        let processor = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name.trim());
        Ok(Self {
            cpus: cpus.parse()?,
            processor: processor.unwrap_or("unknown processor").to_owned(),
            memory_gb: memory.parse::<f64>()? / 1e9,
            engine: engine.to_owned(),
            storage: storage.to_owned(),
            image: image.to_owned(),
            load: loadavg.split_whitespace().next().unwrap_or("unknown").to_owned(),
        })
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cpus, processor, memory_gb, engine, storage, image, load } = self;
        write!(f, "{cpus} × {processor}, {memory_gb:.0} GB, Docker {engine} with {storage}, image `{image}`, load {load} at the start")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_is_told_in_one_line() {
        let machine = Machine::read("2|25276514304|20.10.24|overlay2\n", "i:1", "x\nmodel name\t: Fast CPU \n", "0.15 0.2 0.1").unwrap();
        let expected = "2 × Fast CPU, 25 GB, Docker 20.10.24 with overlay2, image `i:1`, load 0.15 at the start";
        assert_eq!(machine.to_string(), expected);
        assert!(Machine::read("2|1|1|1", "i:1", "", "").unwrap().to_string().contains("unknown processor"));
    }

    #[test]
    fn garbage_is_no_machine() {
        for told in ["", "|", "a|b|c|d", "2|x|1|1", "2|1|1|1|1"] {
            assert!(Machine::read(told, "", "", "").is_err(), "{told}");
        }
    }
}
