-- The channels of notices as each service has them: of several with other settings none overwrites those of another.
CREATE TABLE oxbatch_notice_channel_of_service (
    name         TEXT   NOT NULL,
    -- The boot id of the service, and the name of its node.
    service      TEXT   NOT NULL,
    node         TEXT   NOT NULL,
    kinds        TEXT   NOT NULL,
    skips_over   BIGINT,
    -- When the service has confirmed it last, in microseconds since 1970.
    confirm_time BIGINT NOT NULL,
    PRIMARY KEY (name, service)
);

-- Those of before belong to a service that is gone.
INSERT INTO oxbatch_notice_channel_of_service (name, service, node, kinds, skips_over, confirm_time)
SELECT name, '00000000-0000-0000-0000-000000000000', '', kinds, skips_over,
    CAST(extract(epoch FROM now()) * 1000000 AS BIGINT)
FROM oxbatch_notice_channel;

DROP TABLE oxbatch_notice_channel;
ALTER TABLE oxbatch_notice_channel_of_service RENAME TO oxbatch_notice_channel;
ALTER INDEX oxbatch_notice_channel_of_service_pkey RENAME TO oxbatch_notice_channel_pkey;
