/**
 * A pool of a subject is a hash: `left` tokens of the run that ends at `ends`, by the clock of the
 * store, of which whoever takes says what it shows at most. `id` is the run of the Redis that took it
 * in: one that was started again, or took another's place, may have forgotten what was taken, so its
 * pools are worth nothing. https://redis.io/docs/latest/develop/programmability/lua-api/
 */
const beginning = `
  local id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local pool = redis.call('HMGET', KEYS[1], 'id', 'left', 'ends', 'elsewhere')
  local isKnown = pool[1] == id
  local left, ends = tonumber(pool[2]), tonumber(pool[3])
`;

/** `needed` and up to `ahead` more, or nothing: answers how many, their run, and what is left besides. */
export const takeScript = `${beginning}
  local needed, ahead, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
  if not isKnown or now >= ends or left < needed then return {0, 0, 0} end
  local granted = needed + math.min(ahead, math.floor((left - needed) / 2))
  redis.call('HSET', KEYS[1], 'left', left - granted)
  return {granted, ends, left - granted + tonumber(pool[4])}
`;

/** Puts `count` of a run in. Answers what there is no place for: of the run that ends first. */
export const putScript = `${beginning}
  local count, newEnds, forMs = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
  local restEnds, rest = 0, 0
  if isKnown and left > 0 and ends > newEnds then return {newEnds, count} end
  if isKnown and ends == newEnds then count = count + left
  elseif isKnown and left > 0 then restEnds, rest = ends, left end
  redis.call('HSET', KEYS[1], 'id', id, 'left', count, 'ends', newEnds, 'elsewhere', ARGV[4])
  redis.call('PEXPIRE', KEYS[1], forMs)
  return {restEnds, rest}
`;

/** Takes all that is left of a run out; answers how many. */
export const reclaimScript = `${beginning}
  if not isKnown or ends ~= tonumber(ARGV[1]) then return 0 end
  redis.call('DEL', KEYS[1])
  return left
`;
