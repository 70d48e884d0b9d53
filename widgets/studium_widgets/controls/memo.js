/** `compute`, called again only when one of its arguments has changed. */
export function memo(compute) {
  let [key, value] = [null, null];
  return (...given) => {
    if (!key || given.some((part, i) => part !== key[i])) [key, value] = [given, compute(...given)];
    return value;
  };
}
