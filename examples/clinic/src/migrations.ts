import { defineMigration } from "apiforge";

// Whose a patient is, and nothing about the patient: what tells "not yours" from "not there" without
// a look at a guarded row.
const directory = `
  create table practices (id text primary key, name text not null);
  insert into practices (id, name) values
    ('practice_p001', 'Harbour Eye Care'), ('practice_p002', 'Northside Vision');

  create table patient_practices (patient_id text primary key, tenant text not null);
  insert into patient_practices (patient_id, tenant) values
    ('pat_12345', 'practice_p001'), ('pat_789', 'practice_p001'), ('pat_20001', 'practice_p002');
`;

const patients = `
  create table patients (
    tenant text not null,
    id text not null,
    first_name text not null,
    last_name text not null,
    date_of_birth text not null,
    phone text not null,
    email text,
    insurance_provider text,
    ssn text not null,
    clinical_notes text,
    primary key (tenant, id)
  );
  insert into patients (tenant, id, first_name, last_name, date_of_birth, phone, email,
      insurance_provider, ssn, clinical_notes) values
    ('practice_p001', 'pat_12345', 'Maria', 'Keller', '1984-02-11', '+15550101001',
      'maria.keller@example.com', 'Blue Shield', '900-12-3456', 'Suspected glaucoma'),
    ('practice_p001', 'pat_789', 'Tom', 'Okafor', '1991-07-30', '+15550101002',
      'tom.okafor@example.com', null, '900-65-4321', null),
    ('practice_p002', 'pat_20001', 'Ines', 'Duarte', '1976-12-03', '+15550102001',
      null, 'Aetna', '900-77-1188', 'Allergic to latanoprost');
`;

// Times are texts on the practice's clock, so that they sort and need no time zone.
const appointments = (instant: "integer" | "bigint"): string => `
  create table appointments (
    tenant text not null,
    id text not null,
    patient_id text not null,
    slot_id text not null,
    starts_at text not null,
    type text not null,
    booked_by text not null,
    booked_at ${instant} not null,
    primary key (tenant, id),
    foreign key (tenant, patient_id) references patients (tenant, id)
  );
  create index appointments_of_patient on appointments (tenant, patient_id, starts_at, id);

  create table appointment_slots (
    tenant text not null,
    id text not null,
    appointment_id text not null,
    primary key (tenant, id),
    foreign key (tenant, appointment_id) references appointments (tenant, id)
  );

  create table daily_bookings (
    tenant text not null,
    day text not null,
    bookings integer not null,
    primary key (tenant, day)
  );
`;

/** Tables of the clinic with their first practices and patients. Instants are epoch milliseconds. */
export const clinicMigrations = [
  defineMigration("clinic-0001", {
    sqlite: [directory, patients, appointments("integer")].join("\n"),
    postgres: [directory, patients, appointments("bigint")].join("\n"),
    tenantTables: ["patients", "appointments", "appointment_slots", "daily_bookings"],
  }),
];
