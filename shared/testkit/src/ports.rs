//! A world of ports whose fields have their names.

/// Puts the fields `source`, `tables`, `queue`, `clock` and `random` of a world behind the ports of poller, sweep and fetcher.
#[macro_export]
macro_rules! ports_of_fields {
    ($world:ty $(, $source:ident)?) => {
        impl $(<$source: tidemark_engine::ports::Source>)? tidemark_engine::ports::Ports for $world {
            fn source(&self) -> &impl tidemark_engine::ports::Source {
                &self.source
            }
            fn ledger(&self) -> &impl tidemark_engine::ports::Ledger {
                &self.tables
            }
            fn versions(&self) -> &impl tidemark_engine::ports::StoredVersions {
                &self.tables
            }
            fn clock(&self) -> &impl tidemark_engine::ports::Clock {
                &self.clock
            }
            fn random(&self) -> &impl tidemark_engine::ports::Random {
                &self.random
            }
        }

        impl $(<$source: tidemark_engine::ports::Source>)? tidemark_engine::poll::PollerPorts for $world {
            fn checkpoints(&self) -> &impl tidemark_engine::ports::Checkpoints {
                &self.tables
            }
            fn queue(&self) -> &impl tidemark_engine::ports::ChangeQueue {
                &self.queue
            }
        }

        impl $(<$source: tidemark_engine::ports::Source + tidemark_sweep::ports::Shown>)?
            tidemark_sweep::ports::SweepPorts for $world
        {
            fn sweeps(&self) -> &impl tidemark_sweep::ports::Sweeps {
                &self.tables
            }
            fn slices(&self) -> &impl tidemark_sweep::ports::StoredSlices {
                &self.tables
            }
            fn shown(&self) -> &impl tidemark_sweep::ports::Shown {
                &self.source
            }
        }

        impl $(<$source: tidemark_engine::ports::Source>)? tidemark_engine::fetch::FetcherPorts for $world {
            fn records(&self) -> &impl tidemark_engine::ports::Records {
                &self.tables
            }
        }
    };
}
