// Outlines from runs of class letters: decoded to a mask, drawn as curves between the pixels' centres.
"use strict";
window.Outline = (() => {
  // corners of a cell that lie inside (1 upper left, 2 upper right, 4 lower right, 8 lower left) → pairs of sides to join
  const SIDES = [[], [3, 0], [0, 1], [3, 1], [1, 2], [3, 0, 1, 2], [0, 2], [3, 2], [2, 3], [2, 0], [0, 1, 2, 3], [2, 1], [1, 3], [1, 0], [0, 3], []];
  const AT = [[0.5, 0], [1, 0.5], [0.5, 1], [0, 0.5]];

  function decode(text, [height, width]) {
    const out = new Uint8Array(height * width);
    let at = 0;
    for (const [, letter, length] of text.matchAll(/([a-z])(\d+)/g)) {
      out.fill(letter.charCodeAt(0) - 97, at, at + Number(length));
      at += Number(length);
    }
    return out;
  }

  // stroke the border of one class over a canvas of any size
  function stroke(canvas, mask, [height, width], value, colour, thick = 2) {
    const pen = canvas.getContext("2d"), sx = canvas.width / width, sy = canvas.height / height;
    const inside = (y, x) => (y >= 0 && x >= 0 && y < height && x < width && mask[y * width + x] === value ? 1 : 0);
    pen.beginPath();
    for (let y = -1; y < height; y++) {
      for (let x = -1; x < width; x++) {
        const sides = SIDES[inside(y, x) + 2 * inside(y, x + 1) + 4 * inside(y + 1, x + 1) + 8 * inside(y + 1, x)];
        for (let i = 0; i < sides.length; i += 2) {
          const [[ax, ay], [bx, by]] = [AT[sides[i]], AT[sides[i + 1]]];
          pen.moveTo((x + 0.5 + ax) * sx, (y + 0.5 + ay) * sy);
          pen.lineTo((x + 0.5 + bx) * sx, (y + 0.5 + by) * sy);
        }
      }
    }
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.lineCap = "round";
    pen.stroke();
  }

  // fill the pixels of one class
  function fill(canvas, mask, [height, width], value, colour) {
    const pen = canvas.getContext("2d"), sx = canvas.width / width, sy = canvas.height / height;
    pen.fillStyle = colour;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (mask[y * width + x] !== value) continue;
        let end = x;
        while (end < width && mask[y * width + end] === value) end++;
        pen.fillRect(x * sx, y * sy, (end - x) * sx, sy);
        x = end - 1;
      }
    }
  }
  return { decode, stroke, fill };
})();
