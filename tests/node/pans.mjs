// The card numbers the test upstream plants in its answers. Synthetic (Luhn-valid, live ranges,
// never issued by us); tests/pans.py reads the same file through `node pans.mjs`.
export const PANS = {
  text: '4929420573595709',
  json_in_text: '5485442494106864',
  structured_string: '4556737586899855',
  structured_integer: 4716461583322103,
  embedded: '5277029120773860',
  blob: '4532015112830366',
  link: '4916338506082832',
  error: '4539578763621486',
  error_data: '5425233430109903',
  progress: '4024007198964305',
  log: '5105105105105100',
  prompt: '4485127906453177',
  completion: '4012888888881881',
  resource: '371449635398431',
  resource_blob: '378282246310005',
  elicit: '6011000990139424',
  elicit_default: '6011111111111117',
  sampling: '3530111333300000',
  description: '5555555555554444',
  instructions: '2223003122003222',
  separated: '4485 2757 4230 8327',
  dashed: '3056-930902-5904',
};

export const SAD = {
  track2: ';4539578763621486=29121010000000000000?',
  cvv: 'cvv: 737',
};

export const digits = (value) => String(value).replace(/\D/g, '');

if (process.argv[1] && process.argv[1].endsWith('pans.mjs')) {
  console.log(JSON.stringify({ pans: PANS, sad: SAD }));
}
