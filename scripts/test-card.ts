import { COUNTER, counterBlocks, FLASH, SAMPLE } from "../testing/counter.ts";

type Colour = readonly [number, number, number];
interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

const PAPER: Colour = [250, 247, 242];
const WARM: Colour = [246, 208, 168];
const SUN: Colour = [238, 160, 84];
const WHITE: Colour = [255, 255, 255];
const INDIGO: Colour = [67, 56, 202];
const NIGHT: Colour = [14, 20, 32];
const BLACK: Colour = [0, 0, 0];
const HILLS: readonly {
  colour: Colour;
  base: number;
  waves: readonly (readonly [number, number, number])[];
}[] = [
  {
    colour: [196, 186, 222],
    base: 0.6,
    waves: [
      [0.035, 3.1, 0.4],
      [0.02, 7.3, 1.9],
    ],
  },
  {
    colour: [138, 128, 205],
    base: 0.68,
    waves: [
      [0.045, 2.3, 2.2],
      [0.015, 8.9, 0.3],
    ],
  },
  {
    colour: [84, 74, 178],
    base: 0.755,
    waves: [
      [0.03, 3.7, 4.4],
      [0.012, 11.3, 2.6],
    ],
  },
  { colour: [32, 33, 78], base: 0.825, waves: [[0.012, 2.9, 1.1]] },
];
const PATCHES: readonly Colour[] = [
  [24, 24, 24],
  [96, 96, 96],
  [168, 168, 168],
  [235, 235, 235],
  [178, 92, 76],
  [242, 180, 107],
  [21, 115, 74],
  [67, 56, 202],
];
/** Segments a–g of a seven-segment digit, as bits 6–0. */
const DIGITS = [0x7e, 0x30, 0x6d, 0x79, 0x33, 0x5b, 0x5f, 0x70, 0x7f, 0x7b];

const mix = (under: Colour, over: Colour, share: number): Colour => {
  const part = Math.min(1, Math.max(0, share));
  return [
    under[0] + (over[0] - under[0]) * part,
    under[1] + (over[1] - under[1]) * part,
    under[2] + (over[2] - under[2]) * part,
  ];
};

/** The bars of a text of digits and colons, in units of the picture's height. */
function textBars(text: string, left: number, top: number, size: number): Rectangle[] {
  const bars: Rectangle[] = [];
  const [width, thick, half] = [size * 0.5, size * 0.11, size / 2];
  let x = left;
  const add = (dx: number, dy: number, w: number, h: number): void => {
    bars.push({ left: x + dx, top: top + dy, right: x + dx + w, bottom: top + dy + h });
  };
  for (const sign of text) {
    if (sign === ":") {
      add(0, half * 0.5, thick, thick);
      add(0, half * 1.4, thick, thick);
      x += thick * 2.2;
      continue;
    }
    const lit = DIGITS[Number(sign)] ?? 0;
    if (lit & 0x40) add(0, 0, width, thick);
    if (lit & 0x20) add(width - thick, 0, thick, half);
    if (lit & 0x10) add(width - thick, half, thick, half);
    if (lit & 0x08) add(0, size - thick, width, thick);
    if (lit & 0x04) add(0, half, thick, half);
    if (lit & 0x02) add(0, 0, thick, half);
    if (lit & 0x01) add(0, half - thick / 2, width, thick);
    x += width + thick * 1.8;
  }
  return bars;
}

/** Draws the sample title's pictures at one size, as planar YUV 4:2:0, BT.709, limited range. */
export class TestCard {
  readonly width: number;
  readonly height: number;
  readonly #rendition: number;
  readonly #still: Float32Array;
  readonly #stillPlanes: Uint8Array;

  constructor(rendition: number) {
    this.height = SAMPLE.heights[rendition] ?? 240;
    this.width = this.height === 240 ? 426 : (this.height * 16) / 9;
    this.#rendition = rendition;
    this.#still = new Float32Array(this.width * this.height * 3);
    this.#drawStill();
    this.#stillPlanes = new Uint8Array((this.width * this.height * 3) / 2);
    this.#convert(this.#still, this.#stillPlanes, {
      left: 0,
      top: 0,
      right: this.width,
      bottom: this.height,
    });
  }

  /** One picture's planes. */
  frame(number: number): Uint8Array {
    const planes = this.#stillPlanes.slice();
    const picture = this.#still;
    for (const [area, paint] of this.#movingParts(number)) {
      const saved = this.#save(area);
      this.#paint(area, paint);
      this.#convert(picture, planes, area);
      this.#restore(area, saved);
    }
    return planes;
  }

  #movingParts(number: number): [Rectangle, (x: number, y: number, under: Colour) => Colour][] {
    const { height, width } = this;
    const second = Math.floor(number / SAMPLE.frameRate);
    const phase = (number % SAMPLE.frameRate) / SAMPLE.frameRate;
    const glow = [1, 0.7, 0.3][number % SAMPLE.frameRate] ?? 0;
    const done = number / (SAMPLE.frameRate * SAMPLE.seconds);
    const [cx, cy] = [width / height / 2, FLASH.y];
    const aspect = width / height;
    const sun = (x: number, y: number, under: Colour): Colour => {
      const distance = Math.hypot(x - cx, y - cy);
      if (distance < FLASH.radius + 1 / height) {
        return mix(under, mix(SUN, WHITE, glow), (FLASH.radius - distance) * height + 0.5);
      }
      const turn = (Math.atan2(x - cx, cy - y) / (2 * Math.PI) + 1) % 1;
      const ring = (0.004 - Math.abs(distance - 0.155)) * height + 0.5;
      const colour = mix(under, INDIGO, Math.min(1, ring) * (turn < done ? 1 : 0.22));
      const angle = phase * 2 * Math.PI;
      const dot = Math.hypot(x - cx - 0.155 * Math.sin(angle), y - cy + 0.155 * Math.cos(angle));
      return mix(colour, INDIGO, (0.015 - dot) * height + 0.5);
    };
    const clock = `${String(second).padStart(2, "0")}:${String(number % SAMPLE.frameRate).padStart(2, "0")}`;
    const bars = textBars(clock, aspect - 0.05 - 0.177, 0.05, 0.06);
    const blocks = counterBlocks({ frame: number, rendition: this.#rendition });
    const unit = 1 / COUNTER.blocksPerHeight;
    const counter = (x: number, y: number): Colour => {
      const column = Math.floor(x / unit - COUNTER.left);
      const row = Math.floor(y / unit - COUNTER.top);
      return blocks[row * COUNTER.columns + column] ? WHITE : BLACK;
    };
    return [
      [this.#area({ left: cx - 0.19, top: cy - 0.19, right: cx + 0.19, bottom: cy + 0.19 }), sun],
      [this.#area({ left: aspect - 0.25, top: 0.04, right: aspect - 0.03, bottom: 0.12 }), this.#bars(bars)],
      [
        {
          left: (COUNTER.left * height) / 20,
          top: (COUNTER.top * height) / 20,
          right: ((COUNTER.left + COUNTER.columns) * height) / 20,
          bottom: ((COUNTER.top + COUNTER.rows) * height) / 20,
        },
        counter,
      ],
    ];
  }

  #drawStill(): void {
    const aspect = this.width / this.height;
    const unit = 1 / COUNTER.blocksPerHeight;
    const panel: Rectangle = {
      left: unit * (COUNTER.left - 0.4),
      top: unit * (COUNTER.top - 0.4),
      right: unit * (COUNTER.left + COUNTER.columns + 0.4),
      bottom: unit * (COUNTER.top + COUNTER.rows + 0.4),
    };
    const name = this.#bars(textBars(String(this.height), 0.05, 0.05, 0.06));
    this.#paint({ left: 0, top: 0, right: this.width, bottom: this.height }, (x, y) => {
      let colour = mix(PAPER, WARM, (y - 0.1) / 0.55);
      for (const hill of HILLS) {
        let crest = hill.base;
        for (const [size, pace, shift] of hill.waves) crest -= size * Math.sin(x * pace + shift);
        colour = mix(colour, hill.colour, (y - crest) * this.height + 0.5);
      }
      const patch = Math.floor((x - (aspect - unit * (PATCHES.length * 1.5 + 1))) / (unit * 1.5));
      if (y >= unit * 17.5 && y < unit * 18.5 && x > unit * 18) colour = PATCHES[patch] ?? colour;
      if (x > panel.left && x < panel.right && y > panel.top && y < panel.bottom) colour = NIGHT;
      return y < 0.13 ? name(x, y, colour) : colour;
    });
  }

  #bars(bars: readonly Rectangle[]): (x: number, y: number, under: Colour) => Colour {
    return (x, y, under) =>
      bars.some((bar) => x >= bar.left && x < bar.right && y >= bar.top && y < bar.bottom) ? INDIGO : under;
  }

  /** Even pixel bounds of an area given in units of the picture's height. */
  #area(part: Rectangle): Rectangle {
    const down = (value: number): number => Math.floor((value * this.height) / 2) * 2;
    const up = (value: number): number => Math.ceil((value * this.height) / 2) * 2;
    return { left: down(part.left), top: down(part.top), right: up(part.right), bottom: up(part.bottom) };
  }

  #paint(area: Rectangle, colourAt: (x: number, y: number, under: Colour) => Colour): void {
    const { height, width } = this;
    const picture = this.#still;
    for (let y = area.top; y < area.bottom; y++) {
      for (let x = area.left; x < area.right; x++) {
        const at = (y * width + x) * 3;
        const under: Colour = [picture[at] ?? 0, picture[at + 1] ?? 0, picture[at + 2] ?? 0];
        picture.set(colourAt((x + 0.5) / height, (y + 0.5) / height, under), at);
      }
    }
  }

  #save(area: Rectangle): Float32Array[] {
    const rows: Float32Array[] = [];
    for (let y = area.top; y < area.bottom; y++) {
      rows.push(this.#still.slice((y * this.width + area.left) * 3, (y * this.width + area.right) * 3));
    }
    return rows;
  }

  #restore(area: Rectangle, rows: readonly Float32Array[]): void {
    for (const [row, values] of rows.entries()) {
      this.#still.set(values, ((area.top + row) * this.width + area.left) * 3);
    }
  }

  #convert(picture: Float32Array, planes: Uint8Array, area: Rectangle): void {
    const { height, width } = this;
    const [chroma, quarter] = [width * height, (width * height) / 4];
    for (let y = area.top; y < area.bottom; y += 2) {
      for (let x = area.left; x < area.right; x += 2) {
        let [red, green, blue] = [0, 0, 0];
        for (const pixel of [
          y * width + x,
          y * width + x + 1,
          (y + 1) * width + x,
          (y + 1) * width + x + 1,
        ]) {
          const [r, g, b] = [
            picture[pixel * 3] ?? 0,
            picture[pixel * 3 + 1] ?? 0,
            picture[pixel * 3 + 2] ?? 0,
          ];
          planes[pixel] = Math.round(16 + ((0.2126 * r + 0.7152 * g + 0.0722 * b) * 219) / 255);
          red += r;
          green += g;
          blue += b;
        }
        const luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        const at = chroma + ((y / 2) * width) / 2 + x / 2;
        planes[at] = Math.round(128 + (((blue - luma) / 4 / 1.8556) * 224) / 255);
        planes[at + quarter] = Math.round(128 + (((red - luma) / 4 / 1.5748) * 224) / 255);
      }
    }
  }
}
