/** Canvas, camera, light and orbit. It draws when something has changed, not all the time. */
import {
  ACESFilmicToneMapping,
  AnimationMixer,
  Box3,
  BufferGeometry,
  Object3D,
  PerspectiveCamera,
  PMREMGenerator,
  Scene,
  Sphere,
  Timer,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { RoomEnvironment } from "three/examples/jsm/environments/RoomEnvironment.js";
import { BoneView } from "./bones.js";
import { bonesOf } from "./inspect.js";
import type { Model } from "./model.js";

const KEY_TURN = Math.PI / 24;
const KEY_ZOOM = 1.15;

export class Stage {
  readonly canvas: HTMLCanvasElement;
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera(40, 1, 0.01, 1000);
  private readonly controls: OrbitControls;
  private readonly timer = new Timer();
  private readonly bones = new BoneView();
  private readonly size: ResizeObserver;
  private model: Model | null = null;
  private mixer: AnimationMixer | null = null;
  private playing = false;
  private turning = false;
  private frame = 0;
  private around = new Sphere(new Vector3(), 1);

  /** Throws where the browser has no WebGL. */
  constructor(private readonly place: HTMLElement) {
    this.renderer = new WebGLRenderer({ antialias: true, alpha: true });
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.toneMapping = ACESFilmicToneMapping;
    this.canvas = this.renderer.domElement;
    this.canvas.tabIndex = 0;
    place.append(this.canvas);
    const generator = new PMREMGenerator(this.renderer);
    this.scene.environment = generator.fromScene(new RoomEnvironment(), 0.04).texture;
    generator.dispose();
    this.scene.environmentIntensity = 0.9;
    this.scene.add(this.bones.group);
    this.controls = new OrbitControls(this.camera, this.canvas);
    this.controls.addEventListener("change", () => this.draw());
    this.size = new ResizeObserver(() => this.resize());
    this.size.observe(place);
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.resize();
  }

  show(model: Model): void {
    this.clear();
    this.model = model;
    this.scene.add(model.root);
    this.around = new Box3().setFromObject(model.root).getBoundingSphere(new Sphere());
    if (!(this.around.radius > 0)) this.around.radius = 1;
    if (model.animations.length > 0) this.mixer = new AnimationMixer(model.root);
    this.home();
  }

  /** The three-quarter view from in front. */
  home(): void {
    const { center, radius } = this.around;
    const narrow = Math.min(1, this.camera.aspect);
    const distance = (radius * 1.1) / Math.sin((this.camera.fov * Math.PI) / 360) / narrow;
    this.camera.position.copy(center).add(new Vector3(0.6, 0.45, 1).normalize().multiplyScalar(distance));
    this.camera.near = Math.max(distance - radius * 20, radius / 500);
    this.camera.far = distance + radius * 20;
    this.camera.updateProjectionMatrix();
    this.controls.target.copy(center);
    this.controls.maxDistance = distance * 8;
    this.controls.minDistance = radius / 100;
    this.controls.update();
    this.draw();
  }

  skeleton(on: boolean): void {
    if (on && this.model) this.bones.show(bonesOf(this.model.root));
    else this.bones.clear();
    this.draw();
  }

  play(on: boolean): void {
    this.playing = on;
    const [first] = this.model?.animations ?? [];
    if (this.mixer && first) {
      if (on) this.mixer.clipAction(first).reset().play();
      else this.mixer.stopAllAction();
    }
    this.timer.reset();
    this.draw();
  }

  turn(on: boolean): void {
    this.turning = on;
    this.controls.autoRotate = on;
    this.draw();
  }

  draw(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.render());
  }

  /** A PNG of what is seen, `width` pixels wide. */
  snapshot(width: number): Promise<Blob> {
    const ratio = this.renderer.getPixelRatio();
    const before = { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
    this.renderer.setPixelRatio(1);
    this.renderer.setSize(width, Math.max(1, Math.round((width * before.height) / Math.max(1, before.width))), false);
    this.renderer.render(this.scene, this.camera);
    const taken = new Promise<Blob>((resolve, reject) => {
      this.canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the browser makes no picture"))));
    });
    this.renderer.setPixelRatio(ratio);
    this.resize();
    return taken;
  }

  clear(): void {
    if (this.model) {
      this.scene.remove(this.model.root);
      disposeAll(this.model.root);
    }
    this.bones.clear();
    this.mixer = null;
    this.playing = false;
    this.model = null;
    this.draw();
  }

  dispose(): void {
    this.clear();
    cancelAnimationFrame(this.frame);
    this.size.disconnect();
    this.controls.dispose();
    this.scene.environment?.dispose();
    this.renderer.dispose();
    this.canvas.remove();
  }

  private render(): void {
    this.frame = 0;
    this.timer.update();
    if (this.playing) this.mixer?.update(this.timer.getDelta());
    this.bones.follow();
    if (this.turning) this.controls.update(this.timer.getDelta());
    this.renderer.render(this.scene, this.camera);
    if (this.playing || this.turning) this.draw();
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.place;
    if (clientWidth === 0 || clientHeight === 0) return;
    this.renderer.setSize(clientWidth, clientHeight, false);
    this.camera.aspect = clientWidth / clientHeight;
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  private key(event: KeyboardEvent): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    const polar = Math.acos(Math.min(1, Math.max(-1, offset.y / offset.length())));
    const side = new Vector3(0, 1, 0).cross(offset).normalize();
    const tilt = (angle: number) => offset.applyAxisAngle(side, angle);
    if (event.key === "ArrowLeft") offset.applyAxisAngle(new Vector3(0, 1, 0), -KEY_TURN);
    else if (event.key === "ArrowRight") offset.applyAxisAngle(new Vector3(0, 1, 0), KEY_TURN);
    else if (event.key === "ArrowUp" && polar > 2 * KEY_TURN) tilt(-KEY_TURN);
    else if (event.key === "ArrowDown" && polar < Math.PI - 2 * KEY_TURN) tilt(KEY_TURN);
    else if (event.key === "+" || event.key === "=") offset.divideScalar(KEY_ZOOM);
    else if (event.key === "-") offset.multiplyScalar(KEY_ZOOM);
    else if (event.key === "0" || event.key === "Home") return this.home();
    else return;
    event.preventDefault();
    this.camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
    this.draw();
  }
}

function disposeAll(root: Object3D): void {
  root.traverse((each) => {
    const { geometry, material } = each as { geometry?: BufferGeometry; material?: unknown };
    geometry?.dispose();
    for (const one of ([] as unknown[]).concat(material ?? [])) {
      for (const value of Object.values(one as object)) {
        if (value && (value as { isTexture?: boolean }).isTexture) (value as { dispose(): void }).dispose();
      }
      (one as { dispose(): void }).dispose();
    }
  });
}
