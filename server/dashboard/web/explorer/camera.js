// Which part of a tree a picture shows, and how large. Rows and columns have scales of their own: a tree of thousands of
// leaves fits a picture by its rows lying closer. Knows no page.

const COLUMN_PIXELS = { fitted: [14, 190], zoomed: [4, 400] }; // pixels from a node to its children
const ROW_PIXELS = { fitted: [0.001, 30], zoomed: [0.001, 64] }; // pixels from a leaf to the next
const LEFT = 24;
const RIGHT = [0.36, 220]; // room for the labels of the last column: a share of the width, pixels at most
const EDGE = 28;

// A camera. Places are {across, down} in columns and rows, points {x, y} in pixels.
export function cameraOf() {
  const size = { width: 0, height: 0 };
  const at = { left: 0, top: 0, column: 1, row: 1 };
  let fitted = true;

  const right = () => Math.min(RIGHT[1], size.width * RIGHT[0]);
  const x = (across) => at.left + across * at.column;
  const y = (down) => at.top + down * at.row;
  const fit = ({ columns, rows }) => {
    at.column = clamp((size.width - LEFT - right()) / Math.max(1, columns), COLUMN_PIXELS.fitted);
    at.row = clamp((size.height - 2 * EDGE) / Math.max(1, rows), ROW_PIXELS.fitted);
    at.left = LEFT;
    at.top = (size.height - rows * at.row) / 2;
    fitted = true;
  };
  const zoom = (factor, point = { x: size.width / 2, y: size.height / 2 }) => {
    const column = clamp(at.column * factor, COLUMN_PIXELS.zoomed);
    const row = clamp(at.row * factor, ROW_PIXELS.zoomed);
    at.left = point.x - ((point.x - at.left) * column) / at.column;
    at.top = point.y - ((point.y - at.top) * row) / at.row;
    Object.assign(at, { column, row });
    fitted = false;
  };
  const move = (right, down) => {
    at.left += right;
    at.top += down;
    fitted = false;
  };
  const reveal = (across, down) => {
    if (x(across) < EDGE / 2 || x(across) > size.width - right() / 2) move(size.width / 3 - x(across), 0);
    if (y(down) < EDGE / 2 || y(down) > size.height - EDGE / 2) move(0, size.height / 2 - y(down));
  };
  return {
    size,
    at,
    x,
    y,
    fit,
    zoom,
    move,
    reveal,
    isFitted: () => fitted,
    sees: (px, py, room = 40) => px > -4 * room && px < size.width + room && py > -room && py < size.height + room,
  };
}

function clamp(value, [least, most]) {
  return Math.min(most, Math.max(least, value));
}
