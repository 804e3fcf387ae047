-- What is over, or sold, is kept for a time from when it was settled: these find the oldest.
CREATE INDEX reservations_over ON reservations(settled_at) WHERE status IN ('EXPIRED', 'RELEASED');
CREATE INDEX reservations_sold ON reservations(settled_at) WHERE status = 'CONFIRMED';
