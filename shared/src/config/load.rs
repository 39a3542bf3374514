//! Loads the settings for the flags of a program.

use super::layers;
use super::{CommonArgs, Config, ConfigError, Environment, WorkerArgs};

impl CommonArgs {
    /// Reads file and environment, puts the flags on top and checks every value.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.load_with(&WorkerArgs::default())
    }

    /// As [`CommonArgs::load`], with the flags of a worker.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn load_with(&self, worker: &WorkerArgs) -> Result<Config, ConfigError> {
        self.load_in(worker, &Environment::of_process())
    }

    /// As [`CommonArgs::load_with`], in an environment that need not be this process's.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting.
    pub fn load_in(
        &self,
        worker: &WorkerArgs,
        environment: &Environment,
    ) -> Result<Config, ConfigError> {
        layers::load(self, worker, environment)
    }
}
