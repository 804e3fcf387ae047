-- When a task was done. For those done before this column existed, their last change is the best there is.
ALTER TABLE tasks ADD COLUMN completed_at TEXT;

UPDATE tasks SET completed_at = updated_at WHERE status = 'done';
