// Makes a photo small enough to be sent: the same image, upright, in sRGB, with the date at which it was taken.

const SIDE = 2400; // pixels, the longer one; ten times what the network sees
const QUALITY = 0.9; // of the JPEG
const ORIENTATION = 0x0112; // EXIF's tag
const UPRIGHT = 1;

export async function shrunk(photo) {
  const image = await createImageBitmap(photo); // upright, whatever EXIF says
  const scale = Math.min(1, SIDE / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas"); // in sRGB
  canvas.width = Math.max(1, Math.round(scale * image.width));
  canvas.height = Math.max(1, Math.round(scale * image.height));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  const jpeg = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  const exif = exifOf(new Uint8Array(await photo.slice(0, 2 ** 18).arrayBuffer()));
  return new File([jpeg.slice(0, 2), exif, jpeg.slice(2)], photo.name, { type: jpeg.type });
}

// The EXIF segment of a JPEG, made to say that the image is upright; nothing if there is none.
function exifOf(bytes) {
  const view = new DataView(bytes.buffer);
  try {
    for (let start = 2; bytes[start] === 0xff && bytes[start + 1] !== 0xda; start += 2 + view.getUint16(start + 2)) {
      const isExif = bytes[start + 1] === 0xe1 && view.getUint32(start + 4) === 0x45786966; // "Exif"
      const end = start + 2 + view.getUint16(start + 2);
      if (isExif && end <= bytes.length) return upright(bytes.slice(start, end));
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // damaged EXIF data: the image is usable without them
  }
  return new Uint8Array();
}

// TIFF 6.0, section 2: a header of 8 bytes, and a directory of entries of 12 bytes each.
function upright(segment) {
  const tiff = new DataView(segment.buffer, 10);
  const isLittle = tiff.getUint16(0) === 0x4949;
  const directory = tiff.getUint32(4, isLittle);
  for (let entry = 0; entry < tiff.getUint16(directory, isLittle); entry++) {
    const start = directory + 2 + 12 * entry;
    if (tiff.getUint16(start, isLittle) === ORIENTATION) tiff.setUint16(start + 8, UPRIGHT, isLittle);
  }
  return segment;
}
