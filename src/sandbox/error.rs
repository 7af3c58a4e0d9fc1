//! Why a sandbox could not tell.

use crate::domain::{Failure, OdooVersion, Prerequisite};

/// Why it could not be found out what a run does.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// No engine answers.
    #[error("the Docker engine does not answer: {0}; start it, or set DOCKER_HOST")]
    EngineGone(String),
    /// There is no image for this series.
    #[error("the sandbox image {image} for Odoo {version} is not there; {how}")]
    ImageMissing {
        /// The series.
        version: OdooVersion,
        /// The tag that was looked for.
        image: String,
        /// How to get it.
        how: String,
    },
    /// The image could not be built.
    #[error("the sandbox image could not be built: {0}")]
    ImageBuild(String),
    /// The sources cannot be run as they are.
    #[error("the sources cannot be tested: {0}")]
    Sources(String),
    /// The engine or the container did something that was not expected.
    #[error("the sandbox went wrong: {0}")]
    Protocol(String),
}

impl From<bollard::errors::Error> for SandboxError {
    fn from(error: bollard::errors::Error) -> Self {
        use bollard::errors::Error;
        match error {
            // The engine answered, so it is there.
            Error::DockerResponseServerError { status_code, message } => Self::Protocol(format!("{message} (status {status_code})")),
            Error::JsonDataError { message, .. } => Self::Protocol(format!("unreadable answer: {message}")),
            Error::DockerStreamError { error } => Self::Protocol(error),
            other => Self::EngineGone(other.to_string()),
        }
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::EngineGone(_) => Self::unavailable(error).lacking(Prerequisite::Docker),
            SandboxError::ImageMissing { .. } | SandboxError::ImageBuild(_) => Self::unavailable(error),
            SandboxError::Sources(_) => Self::bad_input(error.to_string()),
            SandboxError::Protocol(_) => Self::bug(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureKind;

    #[test]
    fn missing_engine_can_come_back() {
        let failure = Failure::from(SandboxError::EngineGone("connection refused".to_owned()));
        assert!(matches!(failure.kind, FailureKind::Unavailable { .. }));
        assert!(failure.to_string().contains("DOCKER_HOST"));
        assert_eq!(failure.prerequisite, Some(Prerequisite::Docker));
    }

    #[test]
    fn broken_sources_stay_broken() {
        assert_eq!(Failure::from(SandboxError::Sources("too large".to_owned())).kind, FailureKind::BadInput);
    }
}
