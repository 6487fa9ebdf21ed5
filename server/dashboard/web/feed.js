// Asks for the live numbers again and again, and tells them to whoever listens.

const EVERY = 2000; // milliseconds
const REMEMBERED = 120; // seconds of readings

// Gives {listen(told), pause(on), isPaused()}.
//   ask: gives the next reading
//   onTrouble: told the error when one cannot be had, null when that is over
export function feedOf(ask, onTrouble) {
  let readings = [];
  let paused = false;
  let timer = 0;
  const listeners = new Set();

  const next = async () => {
    timer = 0;
    if (!paused && !document.hidden) {
      try {
        const reading = await ask();
        readings = [...readings.filter((each) => each.time > reading.time - REMEMBERED), reading];
        onTrouble(null);
        for (const told of listeners) told(readings);
      } catch (error) {
        onTrouble(error);
      }
    }
    if (listeners.size && !timer) timer = setTimeout(next, EVERY);
  };
  return {
    listen(told) {
      listeners.add(told);
      if (readings.length) told(readings);
      if (!timer) next();
      return () => listeners.delete(told);
    },
    pause: (on) => (paused = on),
    isPaused: () => paused,
  };
}
