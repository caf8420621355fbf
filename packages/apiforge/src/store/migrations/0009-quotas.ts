import type { Migration } from "../contract.ts";

/**
 * What limits and quotas have given out. A row of `forge_quotas` holds the runs of one subject as
 * JSON, `[endsAt, count, …]` with the earliest first: what is leased in a run is used until its
 * end, and counts as if all of it had been. `forge_limit_log` is the memory of the one process that
 * counts by itself; see docs/adr/0016.
 *
 * `forge_lease` answers one ask, with the row of its subject locked: what is given back is taken off
 * its run, then as much of what is needed is granted as is left, and of what is wanted ahead at most
 * a quarter of the rest. Without a period runs are `slot_ms` long and count until `tail_ms` after
 * their end. Time stands still for a row where the clock of the server goes back. A row may be swept
 * between its insertion and its lock, so both are tried until it is locked.
 */
export const quotas: Migration = {
  name: "apiforge-0009-quotas",
  sqlite: `
    create table forge_quotas (
      policy text not null,
      subject text not null,
      runs text not null,
      seen_at integer not null,
      expires_at integer not null,
      primary key (policy, subject)
    ) without rowid;
    create index forge_quotas_expiring on forge_quotas (expires_at);

    create table forge_limit_log (
      n integer primary key autoincrement,
      policy text not null,
      kind text not null,
      body text not null,
      expires_at integer not null
    );
    create index forge_limit_log_expiring on forge_limit_log (expires_at);
    create table forge_limit_mark (n integer primary key, body text not null);
  `,
  postgres: `
    create table forge_quotas (
      policy text not null,
      subject text not null,
      runs bigint[] not null,
      seen_at bigint not null,
      expires_at bigint not null,
      primary key (policy, subject)
    ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);
    create index forge_quotas_expiring on forge_quotas (expires_at);

    create function forge_lease(
      ask_policy text, ask_subject text, most bigint, needed bigint, ahead bigint,
      tail_ms bigint, slot_ms bigint, period text, back_end bigint, back_count bigint,
      out granted bigint, out ends_at bigint, out now_at bigint, out remaining bigint,
      out more_at bigint
    ) language plpgsql volatile as $$
    declare
      known bigint[];
      kept bigint[] := '{}';
      used bigint := 0;
      seen bigint;
      run_end bigint;
      run_count bigint;
    begin
      loop
        select quota.runs, quota.seen_at into known, seen from forge_quotas quota
          where quota.policy = ask_policy and quota.subject = ask_subject for update;
        exit when found;
        insert into forge_quotas (policy, subject, runs, seen_at, expires_at)
          values (ask_policy, ask_subject, '{}', 0, 0) on conflict (policy, subject) do nothing;
      end loop;
      now_at := greatest(forge_now(), seen);
      if period is null then
        ends_at := (now_at / slot_ms + 2) * slot_ms;
      else
        ends_at := extract(epoch from (date_trunc(period, to_timestamp(now_at / 1000.0) at time zone 'UTC')
          + ('1 ' || period)::interval) at time zone 'UTC') * 1000;
      end if;
      for i in 1 .. coalesce(array_length(known, 1), 0) / 2 loop
        run_end := known[2 * i - 1];
        run_count := known[2 * i];
        if run_end + tail_ms <= now_at then continue; end if;
        if run_end = back_end then run_count := greatest(0, run_count - back_count); end if;
        if run_count = 0 then continue; end if;
        kept := kept || run_end || run_count;
        used := used + run_count;
      end loop;
      remaining := greatest(0, most - used);
      granted := least(needed, remaining);
      granted := granted + least(ahead, (remaining - granted) / 4);
      if granted > 0 then
        if array_length(kept, 1) is not null and kept[array_length(kept, 1) - 1] = ends_at then
          kept[array_length(kept, 1)] := kept[array_length(kept, 1)] + granted;
        else
          kept := kept || ends_at || granted;
        end if;
        remaining := remaining - granted;
      end if;
      more_at := coalesce(kept[1] + tail_ms, now_at);
      update forge_quotas quota set runs = kept, seen_at = now_at,
          expires_at = coalesce(kept[array_length(kept, 1) - 1] + tail_ms, now_at)
        where quota.policy = ask_policy and quota.subject = ask_subject;
    end $$;
  `,
};
