/** For tests: a piece of something like x86 code, and what the usual tools make of it (xz, lz4 -l, zstd). */

/** 3,000 bytes: calls and jumps, true and false ones, close together; repetitions. */
export function sample(): Uint8Array {
  const bytes: number[] = [];
  const common = [0xe8, 0xe9, 0x00, 0xff, 0x01, 0xfe, 0x90, 0x0f];
  let x = 1;
  while (bytes.length < 3000) {
    x = (Math.imul(x, 1103515245) + 12345) & 0x7fff_ffff;
    const kind = (x >> 16) & 31;
    if (kind < 24) bytes.push(common[kind & 7]!);
    else if (kind < 30) bytes.push(0xe8, (x >> 8) & 0xff, kind, (x >> 12) & 3, kind & 1 ? 0 : 0xff);
    else {
      const distance = 1 + ((x >> 4) & 0x7ff);
      for (let i = 3 + ((x >> 20) & 63); i > 0; i--) bytes.push(bytes[bytes.length - distance] ?? 0x20);
    }
  }
  return Uint8Array.from(bytes.slice(0, 3000));
}

const packed = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, 'base64'));

/** `--x86 --lzma2=preset=9e --check=crc32`, as Linux is packed. */
export const xzX86 = packed(
  `/Td6WFoAAAFpIt42AgEEACEBHACHbtrl4Au3BPVdAEgIMxd0v/HQowO9X7sHFND7Ja8A+KOt1i/dQ5WuJVC8Prb7a/vY+QiYpypXxoidnD29p44ar1Ssjc9ljqPU+gwtF774amckL6Ea
cPYssZ06Efg1ZXtEIX/B8fRlrjONOgsJepL0j/ehZFVsJ6HSaopRFnqJbh1KY98EmARHlBhpMnNcCkLIqPErYd9SaCjajonSjLnX/fqy3A5VRpv4ei9apmzIWk3+FXvwbI9FfYwRWbZQ
0E6F4f3ZyRQW04pLu6JHCepp9nETPIu8QyDT/wtF8nW8sZP1OFuuKmNANVEX4dr7kVEUG4t27wfSoLM42WLyheHA+Fu3J1vzY+dFXkY5ZbkChheZz0WNK1UcVFLUPs7DjeKMjA2NMjbK
TP4/8ELvfnn9LVYcb4MVrU0Dvex0qh7ILJFAy6vmevO5LJvEG34ZmUH5ZS3n1MqgHo+8/Ie1xRpImRfuE6jdvaA/BOxHQB6L2c2Wer1wgzVUgIy/6x4qpAij0qbc6j41Ks+vO5ajxt6Z
Vl7aPWFJ24IoCrGk8OasU7dklEwJ//oHQFSCYU1+uEuA+rlcZrmZnKdQaniQX6Q6wCiLo0Fzukc5GEu3y6iY5VC7ynIG8TYNEwCMJfk6AI7Z67rNZXO7NSDFxeT/XdfI695iMX7yWmrJ
+QyjKJnojIfd8SzectYlWe+L6WauvycgDbyHJ5lXN6i4KaIjKQuu30GH1pY7c6IUgQyzNKvEvtyMSBg63KEU2XPu0vXtW8EL58v3NwjYfnI+6p3PcEmAGg+2mYafyWF8ZclV7rlOb/eE
5vfOg9RwjNFbvLjPcXbZce2Bz7zcj1VhVIYr+2eNxaYDOkAHZPWNBbkp5PndrZ9BQdYI4hR+vqt2NNJeP62cglibZccvQDciU+qP2OCFdoNGhWUZq469zlfWpC6zHtvnkDuTNLAXCvOf
jRaq4IBxPr80Kld5aUhgLNjKrEkE+966UuPRCdqbDCXATtlMf0gOh0gfiya5+Ky+Zte/taU/+vpRFU6cgjzdb2KOEYjq+PXT4bWzbb0wCxlAhacSfSdGi+1ANcs4hirx6PsF/oJDFOVl
O3lgWUN3F8Hn1ti9pjT//l3izpWIqph55WBAr2dTXwfRSVoG4but/d2p5U689l0XlvP27ZbqLCCHsbIZvYT0FH1wZgT2L2oFSUxOqFk9JfkG6Ien5FK2D/yOjEeft8FBXwmIBUBoXFbq
EGnNR8oRiydcwc2xMqfgHZQ2Hl8ESg6BBMT1SiswkfKXEG8bg3PsOq2zLAZp+bdnHOq65/DArP5hbVCYo9jn2rWFinwoBjI9Y5rq8QvCLMGq8VndMyKCDk5lQYe/vVcjqf77UjuvgWYC
PCHrRTl5Ltli8kImICa1pNsv10yDWHp0N1yjS9YAGbCkf7gsRqwKpEf8EW8tYmVumg+W22+x5N5DsGJhPqzRYxygkRVZHQFIRAVYrJjJUSzkhvr7YlMnSiNOOwTyimoWDM7ncD/bcfH2
2nfQGcWWMbPdL0lhUB9z0QIwGXqPN235w8v/9PUE8lEV1Lvj5OtoS+dRxtlOxUwJQbY6ZOhu1g+jpNK8b8c0Ga/mhTYdezHzUBAc6jRplw1dp569189Kjf7L4XEbN/FE8RP9ybX3bwQN
FHg+x4n2kByBRFYF8Nfo2fspKdh0I/37WOI4XNAQQcVut9SVDbeXiwAAAAB9s+1KAAGNCrgXAAD6GGTqPjANiwIAAAAAAVla`,
);

/** `--lzma2=lc=1,lp=2,pb=1 --check=crc64` */
export const xzPlain = packed(
  `/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4Au3A/VAAEgIM165GfJB8GysGehbrex8lmoOAnrKeT2a59fZY2IalEblbx9Fnb8kTSlfUAInAGhHSdz0LPy/zGl6WqksqRLKP7myDYlcSDfX
zvywZHEXnFtemljklZs5HCPt12kGnUAC695Mb4COz9+ts1g/jsnRjE0wrClo8J3YG2JXeYZai19kXTJo49ZdBggbxg5IXcbChauSQhb7/BWnd1sy179pfamwywwhSFAJs0x2Lo4VIltb
dRsl8JKFGOSAq8EqWVhYd5TGSDojkMylnKHsg1QXwzmEqP+1EdS0YZnvw28jK323ZhRJHKaA6ijp48uALNl9UKsewK3vL0UzctjDWoZ2Yqx8cdi5xkl7Yzh/xmiysASEvYyNpowFTSDu
hYCo19OOYOigUvhT1BaLlRR1LnbKRNQZtqljVg3/93JssiuIKwXFu+0aXxdvXCeW2jWOqXTaVqsETWFO4f4iPXWtgiTHSeDy0ZuLNGo66hS6uQcJ/dKUdqHZ/ChxyNNLIeiqNG8cW80a
crrqLNGktAHyV/qKiu+P+waK84AwYg/okxDvgQdmc0svbNsE0sq8mYc/jvMfcaKNsKhBUYh8btePKtrefYcMqFC8xj8Tpca+UEr54VSmauKMmwtfJwvmgbp5I3iq+Bo3q2AyBVqoY3AH
vX0k+xasjS3/mHR0/YvIe7F0ti9soJSUCWcLj9x0Ts22J7Ho4b432yE6/DUW53E01NmI1N7XS0wfdRtzsXRUfPl4oZ1QxLh6wxL3NncCTDpiYA0Eo2XLxa0qT8KgQD9LVomb9df5CL9i
NcM9lYEIrw2upJRV+zZ+iz+wlPzBozbLcAaczOlbQQSU4htCaciHPkiRiVsrGc6wD0rv2OlfiA+xnxIfT52Yq+IrmcOX1pQUYs63/rn0JB5/L2nt0XmLr+S48FnTOYxHnb2i762D9E4+
+3GQ/nUapbJVCYXn+j0yPl1X6/jsFPqiLXlwl/DNuxBJvMZt+R96D+TFJJL67ds36Bm3ti2QbJNau12hulhZylklH6g5x3SkwZgsj/aDLYw99B52l4/tw1fgz6WyUblq3lSJw032N2rd
7E7IYgz6clXUI5q9uZhfSKyXI7gvh2RqaaQR6IyCO0sXRQ0giP1EbDanArlzkFkhEWO26141X4N7MMrf7LiK1HNlcAH1ebfFHTKIXWE6k02Eg85pPG6JGrC8x3rNhdozQ5vs8uO/iMUe
IRosFn3Q3x8+Pmh5y2UIhfanlp5YAwsEcrjH4EoZidEx7hzPHB90XbHMWw2XlW9IpQlj0LZDLzIczDkqPu0YJN3LXHd/xVmxYC7iUgSMv8Jrwlnm1IgRowdhlAW0sCtUmvXsAAAAABTP
qhws/u63AAGRCLgXAAB6ibDkscRn+wIAAAAABFla`,
);

/** `lz4 -l -9` */
export const lz4 = packed(
  `AiFMGCIFAAAvkCABABb/Bun//+h0GwMAAOiuGwIAAZDoMh0DADUADe/oIhwC/+jwHAP/6Q/pIAEAGi/pIAEALPABkAAPDw+QD+gFGQAAAOjoJIoAkJIZAQAAkP/ofMkA/yH+6ei9GAP/
6FEcAf8B/g8PkP7o9hsDAOi+GgP/AOjLGQAA6KYYAv8B/+h1GgP/kJBrABavWhkBAOgaGQEAD64AGO+Q/+hFGAD//v7o3BoB//sALP8B6BcaAf8BkJDoaRwC/+n+kEMAIMDp6OjoXBsB
AA/p6MuYANDo/unoHhwB///+AOj6JwEg6A3uAH//AOiqHQIAYgAaIAD+hAGf3BgB/+kA6SAghQIf8AQBAOjp6NkcAf8AkP7pkA8PkOhIrgEQZokAoOj8GgP/6AH+6DHcAfAB3RwB/w/o
CBwA/+no8BsDAC8AQejo0RnYABAY3wD/BP/o3B0BAOno6O8dAgD+/v7///6IAA8fD98AI/AFkOgBkOjlGgL/6f//6egBD+hqGwIxAh/p8AEcMOnoD5IBhunpD/4A/ugPEgBPkOn/ATYB
CSno/lcD8BXo8hoD//+Q6OiQDw8BkP4A6LQYA/8B6NIbAQDo/w/ohxkAAAHiAdDo/pAP/g8PAegB//8B3QCvRxwA///+6GQZAgMEBu8A6N8aAf//6OgaHQEA/84DGA94Agu06QEP6L0Z
AwDp/wCGAvAO/gD/AejpkOnowxsAAP4PAejNGgD/6Q8PkADo6JncAVH+AA/oPvIDD48EG2AP/pDoiRheAPAE6C0dAgDoixsAAAHp6BUcAf/oGaMA+gwBD//onR0BAAD/AZD+6enp6JUY
Af/ochgD/w+KAEHpAf7+1gAQ6LIBr//+Aeno6O4cAv/HABmwkOnoChoA//8P/v94AyDo1IcAkJDpkAH+AADob9kA8AiHHQAAkOnp/wDpD+hPGwAAAJAB6ejGHMIB0P/+Aej//gAAkOgC
GgDyARDs0QAAHAAf6e8CBD/+AOj1AxafAf/+////6P7+owQZMOmQ6IcB7+jAGAD/kOnp6AsZAAAPZwUly+np6f/ofhsDAP/o8ZgGD24EI0GQ/v7+RQHf/ukPAekBAAHoNxoD/2gGJyDo
CucAYA/pkJDo2ZQCH5A8BQzg/wEPAejQGgH/6f8B6MzeBHC/GQMAD+h51gSwQRoA/+g9HQMA6FVxAmALHAD/6Pv3BEDp/uiF+QGsAOnokJAB/v/oASAEcf7/6f7p6F4XBeD/6A/o6P7o
rhkCAOiUGaYDsADoVRoB/w/+6Bwd8wAR88oCQf8AAOkhBCDoQoACD1QAIr/o6AEPAADpAADoADAEFZ/pAeiuGAL/kOl+AhRCzR0AAP0FEF/sAe//6QEA6QDotB0DAA/p/skAD0D//+ig
LQdv/w/p/g/+tgQbNOnp/qAAHpBmAv8A/g+Q6eiOHQAAAZAAAf4B2wQXwOn+6OjoJhkCAA/o7VYCEv+lBRCb+QOA4xkCAAHopx2LCQPoB80A6f4PkA8P6ejFHQBmASDoGCkDLw/+mAYd
0P8A6MwcAP8P/v7p6GzVAZFMGQAA/uj/AAFyAo+QAAHo7h0CAI4BJxEAkgSo6N8bAQD//pAB6KUHT/6QAP89BxtP6f4AAdoGGx8BrggOMA/olTwBQOgP6EZpAxDeRAAQrz8FMLobA+UD
EHhQBv8J6CUbAgAP/v/o6PIYA//+Dw/o6C8ZAgD+IwElANsFwAD/6ADoYhsCAJABAR0GoFMbAQDokx0BAOg=`,
);

/** `zstd -19 --no-check` */
export const zstd = packed(
  `KLUv/QBozRsA6kJgCjQAm2Q46t08sRBLBm0H0hlNIcx5CVGADxpKIPnXjCAgRLxje/tYkFfDE3iy954T9BvH7C1ToQCSAJQAkBO7j8TF+E4BbK9piv9oHDjLf6IxJuEWwuAzO8zra4pi
dEtGBosvjRT/mq2z+eG+LUTA7iOFcfOv6YAxrcRoLemDbbzEO1MJ39UrMuBXJMWZr6aCf9aCIrcgD3d/ohV+3dH0cAspcf9ERNxHAuM8s6zXtMF/NEOM6cK/tqAaCey2EADbmVlPBmXQ
8M/ExXcmBJbps3ngqzrSjNtHUuEfZS6TFhsrn01zZqH90aTwS4PDiJhXb2uzw7eC/JoKGKuVZrjOhoFdr0aGL02CrZnD7pnhGzFxWbbSEeOh680e+0BDbIVvbSL7r6iKWwca4fw7XfCv
9ZfLLO3S7lstFMN2t6Qnrj+aIG5emZ19/xN5MabreOZsGqLzNSParSOZsJXxxzvRFV/5LP/MrLPZYmNrI8XXBF9crc3ktFfUwcW3oBuuA804bfNtrwmEMfFZftadsW0lGE70n0iM32mA
X5oO7rOJ4Dea4D+aFrY+UBG30BLX8RU1cVn9sLWJ4js0Af4TQXC1sAwzM6+L30d64SOitdAAI96rMWI0vA+d6f/5chOx2PdGjq/Nu/LuOyUx1rWVNNiwR7x2EwOF26zDg+K3fdrfSIDx
7gRubWy4JXFwvVVXRxLh+sXzsw7UwDbLPxov9tPqSAqMfyYW/vWRhABxS6Lid7JgMw5bq5r4Xrou35KquHU2Wly96p0tlMF1oBPGTHunJe7TrAVp3G6QGM3OEntVZ+PDVQey4tek41ls
daAFthMrq1fthobxLC8R0xLtPPwnWp9NEBdb+BDthgneHc2MC+sWWyv7jSgY2wdNIEBEJERS2QOsyfcIhVU/WAk8/N7tJhnoTYL6jJWsvY/04dZJGG0qUQz61ycvapib5SDpDVBNoxcj
iHEuW4H5lWDC9d1wAfxABKo8Z5Cl3+XRJESIm30VZASQ+BPt1QbY18T5SAjkODzBpnJJ1fJszCPzwE9o5I26h0OpbeG2sqIVTJmp2YR8IxmZYnNJblb9yOs7IScKMXsorkSfqYQDzXIu
57CsuNWY9xGeTnGhB3EhtuGIcnMwbo0jGlHVUssbrxSCPkH6lRSxYCLgCpCpHQ1Zi5Ywz1TQNJDDAg==`,
);
