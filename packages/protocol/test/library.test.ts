import assert from "node:assert/strict";
import { test } from "node:test";
import { TitleDetail } from "@snug/protocol";

const id = "A".repeat(22);
const version = "B".repeat(43);
const detail = {
  title: {
    ...{
      id,
      name: "Film",
      state: "playable",
      reason: null,
      version,
      durationMicroseconds: 8_000_000,
      size: 9,
    },
    ...{ renditions: [], still: false, notes: [] },
  },
  base: `/m/me/${id}/${version}/`,
  master: `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Director’s, URI=none",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a0/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=9,CODECS="avc1.64001F,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=24.000,VIDEO-RANGE=SDR,AUDIO="sound"
v0/index.m3u8
`,
  playlists: {
    v0: `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4.000000,
0.m4s
#EXT-X-ENDLIST
`,
  },
  inits: { v0: "AAAA" },
};

test("VL15: a title's answer leads a player nowhere but to the title's own files", () => {
  assert.equal(TitleDetail.safeParse(detail).success, true);
  assert.equal(TitleDetail.safeParse({ ...detail, base: "" }).success, true);
  for (const base of [
    "https://elsewhere.example/m/",
    "//elsewhere.example/",
    "/m/me/",
    detail.base.replace("A", "C"),
    `${detail.base}../`,
  ]) {
    assert.equal(TitleDetail.safeParse({ ...detail, base }).success, false, base);
  }
  const own = detail.playlists.v0;
  for (const line of [
    "https://elsewhere.example/0.m4s",
    "//elsewhere.example/0.m4s",
    "/api/library",
    "../0.m4s",
    "data:video/mp4;base64,AAAA",
    "0.m4s?a",
    "0.m4s\r",
    '#EXT-X-MAP:URI="https://elsewhere.example/init.mp4"',
    '#EXT-X-KEY:METHOD=AES-128,URI="https://elsewhere.example/key"',
    '#EXT-X-DEFINE:NAME="a",VALUE="b"',
    '#EXT-X-CONTENT-STEERING:SERVER-URI="https://elsewhere.example/"',
    '#EXT-X-DATERANGE:ID="a",CLASS="com.apple.hls.interstitial",START-DATE="2026-01-01T00:00:00Z",X-ASSET-URI="https://elsewhere.example/"',
    '#EXT-X-SESSION-DATA:DATA-ID="a",URI="https://elsewhere.example/"',
    '#EXT-X-MEDIA:TYPE=AUDIO,URI="https://elsewhere.example/",GROUP-ID="a",URI="a0/index.m3u8"',
    '#EXT-X-STREAM-INF:BANDWIDTH=1,URI="https://elsewhere.example/"',
    " ",
  ]) {
    for (const parts of [{ playlists: { v0: `${own}${line}\n` } }, { master: `${detail.master}${line}\n` }]) {
      assert.equal(TitleDetail.safeParse({ ...detail, ...parts }).success, false, line);
    }
  }
  assert.equal(
    TitleDetail.safeParse({ ...detail, master: `#EXT-X-STREAM-INF:${'A="b",'.repeat(20_000)}!` }).success,
    false,
  );
});
