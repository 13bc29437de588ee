-- The five tables of the game that this engine can rebuild (domain.md, "MySQL tables the game owns"). Used when a table
-- is lost and there is no live one to copy the shape from, and by the tests. Foreign keys are added by the engine.
CREATE TABLE `players` (
  `twitter_handle` VARCHAR(50) NOT NULL,
  `name` VARCHAR(100),
  `house` ENUM('Ravenclaw', 'Gryffindor', 'Slytherin', 'Hufflepuff'),
  `level` INT NOT NULL DEFAULT 1,
  `xp` INT NOT NULL DEFAULT 0,
  `hp` INT NOT NULL DEFAULT 100,
  `bonus_galleons` DECIMAL(10,2) NOT NULL DEFAULT 20.00,
  `withdrawable_galleons` DECIMAL(10,2) NOT NULL DEFAULT 0.00,
  `spells` JSON,
  `potions` JSON,
  `wins` INT NOT NULL DEFAULT 0,
  `losses` INT NOT NULL DEFAULT 0,
  `titles` JSON,
  `created_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`twitter_handle`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE `active_duels` (
  `id` INT NOT NULL AUTO_INCREMENT,
  `player1` VARCHAR(50) NOT NULL,
  `player2` VARCHAR(50) NOT NULL,
  `bet_amount` DECIMAL(10,2) NOT NULL,
  `status` VARCHAR(20) NOT NULL DEFAULT 'active',
  `turn` VARCHAR(50),
  `hp1` INT NOT NULL DEFAULT 100,
  `hp2` INT NOT NULL DEFAULT 100,
  `combo_history` JSON,
  `created_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE `withdrawal_requests` (
  `id` INT NOT NULL AUTO_INCREMENT,
  `twitter_handle` VARCHAR(50) NOT NULL,
  `amount` DECIMAL(10,2) NOT NULL,
  `fee` DECIMAL(10,2) NOT NULL DEFAULT 0.00,
  `tx_hash` VARCHAR(66),
  `status` VARCHAR(20) NOT NULL DEFAULT 'pending',
  `created_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `completed_at` TIMESTAMP NULL DEFAULT NULL,
  `block_number` BIGINT,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE `burn_queue` (
  `id` INT NOT NULL AUTO_INCREMENT,
  `amount` DECIMAL(10,2) NOT NULL,
  `scheduled_time` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `status` VARCHAR(20) NOT NULL DEFAULT 'pending',
  `created_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE `processed_transactions` (
  `tx_hash` VARCHAR(66) NOT NULL,
  `block_number` BIGINT,
  `from_address` VARCHAR(42),
  `to_address` VARCHAR(42),
  `value` DECIMAL(10,2),
  `processed_at` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `status` VARCHAR(20),
  PRIMARY KEY (`tx_hash`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
