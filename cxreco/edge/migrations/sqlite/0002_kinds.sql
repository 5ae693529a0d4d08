-- Training reads the decisions, and the searches, of a log that is mostly views and orders.
CREATE INDEX log_kind ON log (kind, seq);
