import type { Migration } from "../contract.ts";

/**
 * The audit log. Entries and seals are added and never changed; what waits for a seal is a table of
 * its own, so that sealing changes no entry. A seal is the entry's place in the chain
 * (docs/adr/0017).
 */
export const audit: Migration = {
  name: "apiforge-0007-audit",
  // REPLACE deletes without the delete trigger, so an insert is refused where a row is in its place.
  sqlite: `
    create table forge_audit (
      n integer primary key,
      id text not null,
      tenant text not null,
      subject text,
      action text not null,
      detail text not null,
      request_id text not null,
      created_at integer not null
    );
    create index forge_audit_tenant on forge_audit (tenant, n);
    create trigger forge_audit_placed before insert on forge_audit
      when exists (select 1 from forge_audit where n = new.n)
      begin select raise(abort, 'the audit log takes no changes'); end;
    create trigger forge_audit_changed before update on forge_audit
      begin select raise(abort, 'the audit log takes no changes'); end;
    create trigger forge_audit_deleted before delete on forge_audit
      begin select raise(abort, 'the audit log takes no changes'); end;

    create table forge_audit_seals (
      position integer primary key,
      n integer not null unique,
      hash blob not null
    );
    create trigger forge_audit_seals_placed before insert on forge_audit_seals
      when exists (select 1 from forge_audit_seals where n = new.n or position = new.position)
      begin select raise(abort, 'the audit log takes no changes'); end;
    create trigger forge_audit_seals_changed before update on forge_audit_seals
      begin select raise(abort, 'the audit log takes no changes'); end;
    create trigger forge_audit_seals_deleted before delete on forge_audit_seals
      begin select raise(abort, 'the audit log takes no changes'); end;

    create table forge_audit_unsealed (n integer primary key);
  `,
  postgres: `
    create table forge_audit (
      n bigint generated always as identity primary key,
      id text not null,
      tenant text not null,
      subject text,
      action text not null,
      detail text not null,
      request_id text not null,
      created_at bigint not null
    );
    create index forge_audit_tenant on forge_audit (tenant, n);

    create table forge_audit_seals (
      position bigint primary key,
      n bigint not null unique,
      hash bytea not null
    );

    create table forge_audit_unsealed (n bigint primary key);

    create function forge_refuse_audit_change() returns trigger language plpgsql as $$
      begin raise exception 'the audit log takes no changes'; end $$;
    create trigger forge_audit_changed before update or delete on forge_audit
      for each row execute function forge_refuse_audit_change();
    create trigger forge_audit_truncated before truncate on forge_audit
      for each statement execute function forge_refuse_audit_change();
    create trigger forge_audit_seals_changed before update or delete on forge_audit_seals
      for each row execute function forge_refuse_audit_change();
    create trigger forge_audit_seals_truncated before truncate on forge_audit_seals
      for each statement execute function forge_refuse_audit_change();
  `,
};
